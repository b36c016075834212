//! Long runs against services that nobody here has written, through a proxy that counts calls and loses answers.
//!
//! They run in `make test-full` only, with the configurations of `examples/`. `AVOWAL_E2E_FULL=1` makes at least 20 000
//! edits for each service; without it a run takes a minute or two:
//!
//! ```sh
//! scripts/services.sh && cargo nextest run --profile full -p avowal -E 'test(e2e::services::)'
//! ```

mod calls;
mod customer;
mod directus;
mod kinto;
mod localstripe;
mod long;
mod oracle;
mod pair;
mod pocketbase;
mod refusals;
mod round;
mod service;
