//! Listings and change queries, page by page, without loops and without gaps.
//!
//! Never in here: a conclusion from what a page lacks; the engine draws those, from complete listings only.
//! Begin with `pages.rs`; `listing.rs` and `feed.rs` are the ways in.

pub(crate) mod feed;
mod horizon;
mod link;
pub(crate) mod listing;
pub(crate) mod memory;
mod onward;
mod pages;
mod past;
pub(crate) mod probe;
mod query;
mod spot;
mod taken;
