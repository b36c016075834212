//! The `postgres` connector.
