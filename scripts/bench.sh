#!/usr/bin/env bash
# Measures P1 to P6, P9, P10, growth and what the change log costs the application, each beside its yardstick in the same
# run, and writes docs/performance.md and docs/plots/. Needs Postgres (initdb, postgres, psql) for the tables; nothing else but the crates.
#
# AVOWAL_BENCH_ROWS is the size of the tables: 20000 by default, 1000000 for the full size.
# AVOWAL_BENCH_ONLY names the measurements, separated by commas: core,sqlite,webhooks,tables,application,startup,history.
set -euo pipefail
cd "$(dirname "$0")/.."
rows=${AVOWAL_BENCH_ROWS:-20000}
only=${AVOWAL_BENCH_ONLY:-core,sqlite,webhooks,tables,application,startup,history}
case ",$only," in
*,core,*) cargo bench --quiet --package avowal-core --bench core -- --quiet ;;
esac
cargo build --quiet --release --package avowal --package avowal-bench
"${CARGO_TARGET_DIR:-target}/release/avowal-bench" --rows "$rows" --only "$only" --docs docs
