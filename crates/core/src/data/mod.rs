//! What everything else is made of: values in one canonical form, versions, times, identifiers.
//!
//! Never in here: a record, a policy, anything that knows what a value is for.
//! Begin with `value.rs`, then `version.rs`.

pub mod canonical;
pub mod ids;
pub(crate) mod left_join;
mod marked;
pub mod number;
pub(crate) mod spelled;
pub mod spelling;
mod text;
pub mod time;
pub mod value;
pub mod version;
