//! What the configuration says of a service and its objects, and the declaration made ready for use.
//!
//! Never in here: a request, an answer, a particular service.
//! Begin with `object.rs` (the keys of an object) and `prepared.rs` (the declaration made ready).

pub(crate) mod fault;
pub(crate) mod object;
pub(crate) mod options;
pub(crate) mod paging;
pub(crate) mod prepared;
pub(crate) mod route;
pub(crate) mod template;
