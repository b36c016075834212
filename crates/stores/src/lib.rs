//! Where Avowal keeps what it knows: one SQLite file for one process, or a Postgres database for many.

mod codec;
pub mod postgres;
pub mod sqlite;
