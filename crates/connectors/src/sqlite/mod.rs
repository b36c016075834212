//! The `sqlite` connector.
