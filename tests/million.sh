#!/bin/sh
# A million inputs (or $1) of each kind that comes from outside, with optimisation: greetings, requests,
# answers, -L and -R forms, hosts, ssh_config and known_hosts lines, key files and answers of agents, lists,
# the configuration, addresses in disguise. No panic, no hang, every refusal with its place.
set -eu
cd "$(dirname "$0")/.."
export PROPTEST_CASES="${1:-1000000}" PROPTEST_MAX_SHRINK_ITERS=2000
# The tests are built without optimisation otherwise.
export CARGO_PROFILE_DEV_OPT_LEVEL=2
cargo test --locked --lib --no-run
for kind in \
    any_greeting_or_request \
    any_answer_of_a_web_server \
    forward::tests::any_parsed_text \
    forward::listen_address \
    destination::spellings \
    any_lines_are_a_configuration \
    known_hosts::tests::no_file \
    known_hosts::pattern \
    trust::auth::tests::outside \
    any_list_is_read \
    config::tests::properties \
    the_embedded_address; do
    begun=$(date +%s)
    cargo test --quiet --locked --lib -- "$kind" >"${TMPDIR:-/tmp}/million.$$" 2>&1 ||
        { cat "${TMPDIR:-/tmp}/million.$$"; rm -f "${TMPDIR:-/tmp}/million.$$"; echo "$kind FAILED"; exit 1; }
    tests=$(sed -n 's/^running \([0-9]*\) tests\{0,1\}$/\1/p' "${TMPDIR:-/tmp}/million.$$")
    rm -f "${TMPDIR:-/tmp}/million.$$"
    echo "$kind: $tests tests of $PROPTEST_CASES inputs in $(($(date +%s) - begun)) s"
done
