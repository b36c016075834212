//! The `http` connector.
