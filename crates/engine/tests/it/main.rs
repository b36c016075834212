//! The engine proven against whole stories: real core, memory store, fake systems, virtual time.
#![allow(clippy::unwrap_used)]

mod abreast;
mod budgets;
mod bumpy;
mod commits;
mod conflicts;
mod contradictions;
mod crashes;
mod creates;
mod daemon;
mod existence;
mod faults;
mod first_writes;
mod guards;
mod ids_again;
mod lags;
mod linking;
mod order;
mod people;
mod plans;
mod quarantine;
mod quiet;
mod random;
mod reconcile;
mod stops;
mod switch;
mod webhooks;
mod world;
