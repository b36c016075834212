//! Avowal's HTTP edge: the listener that webhooks are delivered to.
//!
//! A delivery passes three gates before anybody reads it: its size, its signature and its time. It is answered
//! with success only after the [`webhook::Inbox`] has made it durable. The listener knows no store, no
//! connector and no clock; it is handed an inbox and a way to ask for the time.

pub mod listen;
pub mod signature;
pub mod webhook;
