#!/usr/bin/env bash
# OpenSSH's own regression scripts (Debian's package openssh-tests), with this program in the client's
# place: tests/openssh/run.sh PROGRAM [SCRIPT…]. Without scripts, all of `scripts`. The program must be an
# absolute path. Prints a table: script, passed, failed and where, or not applicable and why. What each
# said is in target/openssh/NAME.log.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=$1
shift
out=$here/../../target/openssh
mkdir -p "$out"
out=$(realpath "$out")
if (($# == 0)); then
    mapfile -t scripts < <(awk '!/^#/ { print $1 }' "$here/scripts")
else
    scripts=("$@")
fi

# Why a script does not apply; nothing where it does.
reason() {
    awk -v name="$1" '$1 == name && $2 == "none" { $1 = $2 = ""; sub(/^ +/, ""); print }' "$here/scripts"
}

# In a network of its own, where that can be had: several scripts listen on the same ports.
apart=()
if unshare --net ip link set lo up 2>/dev/null; then
    apart=(unshare --net sh -c 'ip link set lo up && exec "$@"' sh)
fi

# A row of the table.
row() { printf '| %-20s | %s |\n' "$1" "$2"; }

# One script, in a copy of the whole folder: each writes beside itself.
run() {
    local name=$1 port=$2 work
    work=$(mktemp -d "$out/work.XXXXXX")
    cp -a /usr/lib/openssh/regress/. "$work"
    mkdir "$work/wrapper"
    ln -s "$here/ssh" "$work/wrapper/ssh"
    (
        cd "$work" || exit 1
        export PATH=$work/wrapper:/usr/sbin:/usr/bin:/sbin:/bin SOCKEYE=$program SUDO='' TEST_SHELL=sh
        export TEST_SSH_SSH=$work/wrapper/ssh TEST_SSH_SFTPSERVER=/usr/lib/openssh/sftp-server
        export TEST_SSH_IPV6=yes TEST_SSH_ECC=yes TEST_SSH_UNSAFE_PERMISSIONS=1 TEST_SSH_PORT=$port
        export WRAPPER_LOG=$out/$name.calls OBJ=$work BUILDDIR=$work
        export TEST_SSH_LOGFILE=$work/ssh.log TEST_SSHD_LOGFILE=$work/sshd.log
        export TEST_REGRESS_LOGFILE=$work/regress.log USER=$(id -un)
        : > "$WRAPPER_LOG"
        timeout "${LIMIT:-300}" "${apart[@]}" sh test-exec.sh "$work" "$work/$name.sh"
    ) > "$out/$name.log" 2>&1 < /dev/null
    local status=$?
    # A run without this line told nothing.
    if ((status == 0)) && grep -q '^ok ' "$out/$name.log"; then
        row "$name" passed
    elif grep -qi '^skipped' "$out/$name.log"; then
        row "$name" "$(grep -i -m 1 '^skipped' "$out/$name.log")"
    else
        row "$name" "FAILED ($status): $(grep -m 1 -i -e FAIL -e FATAL "$out/$name.log" | head -c 200)"
    fi
    [[ -n ${KEEP:-} ]] || rm -rf "$work"
}

index=0
for name in "${scripts[@]}"; do
    why=$(reason "$name")
    if [[ -n $why ]]; then
        row "$name" "not applicable: $why"
        continue
    fi
    run "$name" $((4242 + 100 * index)) &
    index=$((index + 1))
    if ((index % ${JOBS:-3} == 0)); then wait; fi
done > "$out/results"
wait
sort "$out/results"
! grep -q FAILED "$out/results"
