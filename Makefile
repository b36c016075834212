# The two commands: `make demo` and `make test`. Both set up what they need.
export PATH := $(CURDIR)/target/tools/bin:$(PATH)
CARGO ?= cargo

.PHONY: demo test test-full lint doc docs deny nextest sim sim-bugs bench bench-peers tools services fmt

demo: ## the main job on embedded defaults: an app database and a CRM kept in agreement
	$(CARGO) build --quiet --package avowal --package avowal-testkit --bins
	target/debug/avowal demo

test: FEW = 3
test: tools lint doc deny sim sim-bugs nextest ## formatting, clippy, docs, dependencies, a share of the simulation, three planted mistakes, all tests

tools:
	scripts/tools.sh

services: ## brings Kinto, localstripe and Directus, which `make test-full` runs against
	scripts/services.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet

docs: ## the guide as a book in target/guide; brings mdBook
	scripts/docs.sh

deny:
	cargo-deny --log-level error check bans licenses sources

nextest: # the doctests first, so that a run ends with the summary of all other tests
	$(CARGO) test --doc --quiet --package avowal-core --package avowal
	cargo-nextest nextest run --workspace --no-fail-fast

test-full: tools services ## the end-to-end runs at full size: every crash point of 20 seeds, 10 000 records, 50 kills, 100 000 changes, four services
	AVOWAL_E2E_FULL=1 AVOWAL_LOCKSTEP_SEEDS=2000 cargo-nextest nextest run --profile full --no-fail-fast \
		--package avowal --package avowal-sim $(TESTS)

SEEDS ?= 1500
JOBS ?= 2
MISTAKE_SEEDS ?= 20000

sim: ## plays SEEDS seeds (a number, or FROM..TO) on JOBS threads against the real core and engine
	$(CARGO) build --quiet --profile sim --package avowal-sim --bins
	target/sim/avowal-sim --seeds $(SEEDS) --jobs $(JOBS)

sim-bugs: ## plants each known mistake and looks for it in up to MISTAKE_SEEDS seeds (FEW=3: three, others every day; ONLY=name: that one)
	$(CARGO) build --quiet --profile sim --package avowal-sim --bins
	target/sim/avowal-mistakes --seeds $(MISTAKE_SEEDS) --jobs $(JOBS) $(if $(FEW),--few $(FEW)) $(if $(ONLY),--only $(ONLY))

bench: ## everything that is measured, beside what stands for it; writes docs/performance.md (AVOWAL_BENCH_ROWS=1000000: full size)
	scripts/bench.sh

bench-peers: ## the same work by Bucardo and reladiff; downloads them
	bench/peers/bucardo.sh
	bench/peers/reladiff.sh

fmt:
	$(CARGO) fmt --all
