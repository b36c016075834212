//! Where Avowal keeps what it knows.

pub mod sqlite;
