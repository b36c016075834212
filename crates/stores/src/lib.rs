//! The stores: one SQLite file for one process, or a Postgres database for many.
//!
//! Never in here: a decision about what is stored, a policy, a connector.
//! Begin with the tables, `sqlite/migrations/0001_initial.sql`. A file of the same name in `sqlite/` and `postgres/` does
//! the same for the same table.

mod codec;
pub mod postgres;
pub mod sqlite;
