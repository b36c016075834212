//! How requests are authorised: the headers that always go along, and the token that has to be fetched.
//!
//! Never in here: sending; the login's request goes the way of every other.
//! Begin with `headers.rs`.

pub(crate) mod headers;
pub(crate) mod token;
