//! Proof of the core: tables, stories, laws and random runs, through one small world.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod aside;
mod decide_table;
mod decision_rows;
mod decision_table;
mod domain;
mod echoes;
mod existence;
mod facade;
mod fuzz_cases;
mod fuzz_history;
mod fuzz_mapping;
mod fuzz_values;
mod fuzz_versions;
mod golden;
mod hardening;
mod identity;
mod mapping;
mod merges;
mod policy_holes;
mod properties;
mod reviews;
mod rules;
mod schema;
mod stories;
mod strategies;
mod time;
mod value;
mod version;
mod world;
mod writes;
