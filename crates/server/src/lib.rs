//! Avowal's HTTP edge: the listener that webhooks are delivered to, and the API that a daemon answers on a local socket.
//!
//! A delivery passes three gates before anybody reads it: its size, its signature and its time. Senders that are not known
//! yet are bounded in number, and those that dawdle give way, so that they take nothing from those that sign. It is answered
//! with success only after the [`webhook::Inbox`] has made it durable. The listener knows no store, no
//! connector and no clock; it is handed an inbox and a way to ask for the time.
//!
//! The [`api`] is handed a desk at which people ask and decide. It is answered on a [`socket`] that only its owner may open;
//! a [`client`] asks it from another process.

pub mod api;
pub mod body;
#[cfg(unix)]
pub mod client;
mod crowd;
pub mod listen;
pub mod problem;
pub mod signature;
#[cfg(unix)]
pub mod socket;
pub mod webhook;
