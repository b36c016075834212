//! Who decides the faults of a system's calls, and which worker they befall.

use crate::fault::{Fault, Faults};
use crate::oracle::Oracle;
use avowal_core::data::ids::RemoteId;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind, Write};
use avowal_fakes::fake::{Fate, Fault as WriteFault, Kind};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How late a row is shown that was accepted, at most, in milliseconds: no later than a lag that may be.
const SHOWN_LATE_MS_MAX: u64 = 12_000;

/// How much later than reads a search shows a row, at most, in milliseconds.
const INDEX_LAG_MS_MAX: u64 = 60_000;

/// The fate of all systems of one run.
pub struct Stage {
    faults: Arc<Faults>,
    oracle: Arc<Oracle>,
    now_ms: AtomicI64,
    /// Set to tell that the worker whose turn it is has died.
    acting: Mutex<Arc<AtomicBool>>,
}

impl Stage {
    /// Before anybody acts.
    pub fn new(faults: Arc<Faults>, oracle: Arc<Oracle>) -> Self {
        Self { faults, oracle, now_ms: AtomicI64::new(0), acting: Mutex::default() }
    }

    /// Whose turn it is, and when.
    pub fn enter(&self, dead: &Arc<AtomicBool>, now_ms: i64) {
        *self.acting.lock().unwrap_or_else(PoisonError::into_inner) = dead.clone();
        self.now_ms.store(now_ms, Ordering::Relaxed);
        self.oracle.set_time(now_ms);
    }

    fn kill(&self) {
        self.acting.lock().unwrap_or_else(PoisonError::into_inner).store(true, Ordering::Relaxed);
    }
}

impl Fate for Stage {
    fn write(&self, system: &str, write: &Write) -> Option<WriteFault> {
        let key = write.key.as_str();
        if self.faults.strikes(Fault::CrashDuringWrite, key) {
            self.kill();
            let arrived = self.faults.amount(key, 2) == 0;
            return Some(if arrived { WriteFault::CrashAfter } else { WriteFault::CrashBefore });
        }
        if self.faults.strikes(Fault::TimeoutBeforeEffect, key) {
            self.oracle.outcome_lost(system, key);
            return Some(WriteFault::TimeoutBefore);
        }
        if self.faults.strikes(Fault::TimeoutAfterSuccess, key) {
            self.oracle.outcome_lost(system, key);
            return Some(WriteFault::TimeoutAfter);
        }
        if write.operation == Operation::Create && self.faults.strikes(Fault::ShownLate, key) {
            self.oracle.outcome_lost(system, key);
            return Some(WriteFault::ShownLate(self.faults.amount(key, SHOWN_LATE_MS_MAX) as i64));
        }
        if self.faults.strikes(Fault::TooManyRequests, key) {
            let ms = 100 + self.faults.amount(key, 3_000);
            let until = self.now_ms.load(Ordering::Relaxed).saturating_add(ms as i64);
            self.oracle.asked_for_pause(system, until);
            return Some(WriteFault::Limited(ms));
        }
        self.faults.strikes(Fault::ServerError, key).then_some(WriteFault::Unavailable)
    }

    fn call(&self, system: &str, kind: Kind) -> Option<ConnectorError> {
        let effect = format!("{system} {kind:?}");
        let error = |kind, text: &str| Some(ConnectorError::new(kind, text, None));
        if self.faults.strikes(Fault::ServerError, &effect) {
            return error(ConnectorErrorKind::Unreachable, "503 service unavailable");
        }
        if self.faults.strikes(Fault::TooManyRequests, &effect) {
            return error(ConnectorErrorKind::RateLimited { after_ms: Some(500) }, "429 too many requests");
        }
        None
    }

    fn lag_ms(&self, system: &str, id: &RemoteId) -> i64 {
        let effect = format!("{system} {id}");
        let lags =
            self.faults.is_possible(Fault::StaleRead) && self.faults.strikes(Fault::StaleRead, &effect);
        // One in four lags by more than the quiet time, by up to ten times as much.
        let longest = if self.faults.amount(&effect, 4) == 3 { 10_000 } else { 800 };
        if lags { 50 + self.faults.amount(&effect, longest) as i64 } else { 0 }
    }

    fn read_fails(&self, system: &str, id: &RemoteId) -> Option<String> {
        let effect = format!("{system} read of {id}");
        let fails = self.faults.is_possible(Fault::ReadOfOneFails)
            && self.faults.strikes(Fault::ReadOfOneFails, &effect);
        fails.then(|| "500 internal server error".to_owned())
    }

    fn index_lag_ms(&self, system: &str) -> i64 {
        let effect = format!("{system} index");
        let lags = self.faults.is_possible(Fault::IndexLag) && self.faults.strikes(Fault::IndexLag, &effect);
        if lags { self.faults.amount(&effect, INDEX_LAG_MS_MAX) as i64 } else { 0 }
    }

    fn listing_max(&self, system: &str, rows: usize) -> Option<usize> {
        if rows == 0 || !self.faults.is_possible(Fault::TruncatedPage) {
            return None;
        }
        let effect = format!("{system} listing");
        let cut = self.faults.strikes(Fault::TruncatedPage, &effect);
        cut.then(|| self.faults.amount(&effect, rows as u64) as usize)
    }
}
