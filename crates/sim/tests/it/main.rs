//! The simulator in the test run: a bounded share of seeds, every trace that ever failed, and the same traces on a
//! real store.

#![allow(clippy::unwrap_used)]

mod lockstep;
mod mistakes;
mod regressions;
mod seeds;
