//! A private Postgres server for one test run.
