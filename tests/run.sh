#!/usr/bin/env bash
# Everything that is checked, on a fresh Debian machine: installs what is missing, then formatting,
# lints, documentation, and all tests, those against the real sshd, curl, nc, git, ssh and
# proxychains4 among them. SOCKEYE_FULL=1 asks for the full counts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# The server tools are not on an ordinary user's path.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

step="start"
trap 'status=$?; ((status == 0)) || echo "tests/run.sh: FAILED: $step" >&2' EXIT
begin() {
    step=$1
    echo "==> $step"
}

# The packages whose tools are not here, one a line.
missing_packages() {
    local tool package
    while read -r tool package; do
        command -v "$tool" >/dev/null || echo "$package"
    done <<'TOOLS'
sshd openssh-server
ssh openssh-client
ssh-keygen openssh-client
curl curl
nc netcat-openbsd
proxychains4 proxychains4
git git
node nodejs
unshare util-linux
mount mount
cc build-essential
TOOLS
    # The traditional nc knows no proxies.
    if command -v nc >/dev/null && ! { nc -h 2>&1 || true; } | grep -q -e '-X proxy_protocol'; then
        echo netcat-openbsd
    fi
}

# Runs a command as root, where that takes no password.
as_root() {
    if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi
}

install_packages() {
    local install="apt-get install $*"
    if ! command -v apt-get >/dev/null || ! as_root true 2>/dev/null; then
        echo "Please install what the tests need, as root: $install" >&2
        return 1
    fi
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

begin "tools"
mapfile -t packages < <(missing_packages | sort -u)
if ((${#packages[@]} > 0)); then
    install_packages "${packages[@]}"
    mapfile -t packages < <(missing_packages | sort -u)
    if ((${#packages[@]} > 0)); then
        echo "Still missing: ${packages[*]}" >&2
        exit 1
    fi
fi
if ! command -v cargo >/dev/null; then
    echo "Please install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or later" >&2
    exit 1
fi
for component in fmt clippy; do
    if ! cargo "$component" --version >/dev/null; then
        echo "Please install the component: rustup component add rustfmt clippy" >&2
        exit 1
    fi
done

begin "format"
cargo fmt --check
begin "lints"
cargo clippy --all-targets --locked -- -D warnings
begin "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --locked
begin "tests"
# Some tests hold many connections at once; where this is not allowed they have to do with less.
ulimit -Sn 8192 2>/dev/null || true
cargo test --locked -- --include-ignored
begin "benchmarks, once each"
cargo test --locked --bench micro --bench versus
echo "==> tests/run.sh: all passed"
