#!/usr/bin/env bash
# Brings the third-party services of the long runs (`make test-full`) into target/tools: Kinto and localstripe from PyPI,
# each into a virtual environment of its own, and Directus from npm, which needs Node 20 or later. Safe to repeat; does nothing where all is there.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=target/tools

from_pypi() { # FOLDER PACKAGE==VERSION…
    local folder="$tools/$1"; shift
    if [ "$(cat "$folder/.installed" 2>/dev/null || true)" = "$*" ]; then return; fi
    echo "installing $* into $folder"
    rm -rf "$folder"
    python3 -m venv "$folder"
    "$folder/bin/python3" -m pip install --quiet --disable-pip-version-check --no-cache-dir "$@"
    echo "$*" >"$folder/.installed"
}

from_pypi kinto kinto==26.5.0
from_pypi localstripe localstripe==1.15.10

directus=directus@11.3.5
if [ "$(cat "$tools/directus/.installed" 2>/dev/null || true)" != "$directus" ]; then
    echo "installing $directus into $tools/directus"
    rm -rf "$tools/directus"; mkdir -p "$tools/directus"
    echo '{ "private": true }' >"$tools/directus/package.json"
    npm install --prefix "$tools/directus" --no-audit --no-fund --loglevel=error "$directus"
    echo "$directus" >"$tools/directus/.installed"
fi
