//! Avowal's HTTP edge: the listener that webhooks are delivered to.
//!
//! A delivery passes three gates before anybody reads it: its size, its signature and its time. Senders that are not known
//! yet are bounded in number, and those that dawdle give way, so that they take nothing from those that sign. It is answered
//! with success only after the [`webhook::Inbox`] has made it durable. The listener knows no store, no
//! connector and no clock; it is handed an inbox and a way to ask for the time.

pub mod body;
mod crowd;
pub mod listen;
pub mod signature;
pub mod webhook;
