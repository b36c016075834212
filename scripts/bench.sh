#!/usr/bin/env bash
# Measures P1 and P2 (the core) and the durable rate of sync, each beside its yardstick in the same run.
# Needs nothing but the crates. The figures belong to the machine named first.
set -euo pipefail
cd "$(dirname "$0")/.."
echo "machine: $(nproc) x $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(uname -sr), $(rustc --version)"
echo
cargo bench --quiet --package avowal-core --bench core -- --quiet 2>/dev/null
echo
cargo bench --quiet --package avowal --bench durable
