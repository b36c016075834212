//! Reading one copy by its id, and searching copies by a field.
//!
//! Never in here: a write, or what an unreadable copy means for one.
//! Begin with `one.rs`.

pub(crate) mod find;
pub(crate) mod one;
