//! The `avowal` command as people and scripts meet it: its words, its exit codes, its refusals.
#![allow(clippy::unwrap_used)]

mod bench;
#[cfg(unix)]
mod beside;
mod configuration;
mod crash_points;
mod domain_rules;
mod e2e;
mod first_writes;
mod guide;
mod help;
mod meaning;
mod plan;
mod reconcile;
mod records;
mod runs;
mod schema;
mod simulate;
mod stops;
mod tables;
mod tidy;
