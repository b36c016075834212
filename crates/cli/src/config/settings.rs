//! `[settings]`, `[guards]`, `[reconcile]` and `[listen]`: bounds, delays, the schedule, and where webhooks are taken.

use super::Reading;
use super::decode;
use super::node::Table;
use super::systems::Systems;
use crate::duration;
use avowal_engine::ports::store::BATCH_RECORDS_MAX;
use avowal_engine::{Guards, ReconcileSchedule, Settings};
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::SocketAddr;

/// Where webhooks are taken if nothing else is written.
const LISTEN: &str = "127.0.0.1:8787";

/// The longest delay that may be written, in milliseconds.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// The most attempts that may be written.
const ATTEMPTS_MAX: u32 = 1000;
/// The longest time for which delivery ids may be kept, in days.
const DELIVERIES_KEPT_DAYS_MAX: u32 = 3650;

/// Bounds and delays of the synchronisation. Every key has a default that fits most configurations.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "settings")]
pub(super) struct SettingsKeys {
    /// How many changes a page of a feed or listing holds, and how many records a commit.
    #[schemars(range(min = 1, max = BATCH_RECORDS_MAX), example = 200)]
    batch: usize,
    /// How long to wait before a surprising state of a copy is read a second time, in milliseconds.
    #[schemars(range(max = DAY_MS), example = 5_000)]
    settle_ms: u64,
    /// The first pause before a failed call is tried again, in milliseconds. It doubles up to `backoff_max_ms`.
    #[schemars(range(min = 1, max = DAY_MS), example = 500)]
    backoff_min_ms: u64,
    /// The longest pause before a failed call is tried again, in milliseconds.
    #[schemars(range(min = 1, max = DAY_MS), example = 60_000)]
    backoff_max_ms: u64,
    /// How long `avowal sync` waits in all for delayed work since its last write, in milliseconds. After that it ends, and
    /// the rest is done by the next run.
    #[schemars(range(max = DAY_MS), example = 60_000)]
    patience_ms: u64,
    /// How often a copy that cannot be read, or a reference that is not known, is tried before it goes to quarantine.
    #[schemars(range(min = 1, max = ATTEMPTS_MAX), example = 10)]
    attempts_max: u32,
    /// How many days the ids of webhook deliveries are kept, so that a repeated delivery counts once.
    #[schemars(range(min = 1, max = DELIVERIES_KEPT_DAYS_MAX), example = 90)]
    deliveries_kept_days: u32,
}

impl Default for SettingsKeys {
    fn default() -> Self {
        let defaults = Settings::default();
        Self {
            batch: defaults.batch_records_max,
            settle_ms: defaults.settle_ms,
            backoff_min_ms: defaults.backoff_min_ms,
            backoff_max_ms: defaults.backoff_max_ms,
            patience_ms: defaults.patience_ms,
            attempts_max: defaults.attempts_max,
            deliveries_kept_days: defaults.deliveries_kept_days,
        }
    }
}

/// Limits that hold writes until a person approves them. When more deletes are due in one system than both limits allow,
/// none is carried out and the exit code is 3; `avowal sync --approve-deletes SYSTEM` approves them. Too many creates stop
/// the creates of that system; `avowal resume SYSTEM --approve-creates` lets them go. A system that was never linked may be
/// filled.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "guards")]
pub(super) struct GuardKeys {
    /// How many deletes of one entity in one system need no approval.
    #[schemars(example = 50)]
    deletes_max_count: u64,
    /// Which share of a system's copies of one entity may be deleted without approval, from 0 to 1.
    #[schemars(range(min = 0, max = 1), example = 0.05)]
    deletes_max_share: f64,
    /// How many copies of one entity may be made again without approval in a system that held them and does not show them
    /// any more.
    #[schemars(example = 50)]
    creates_again_max_count: u64,
    /// Which share of a system's copies of one entity may be made again without approval, from 0 to 1.
    #[schemars(range(min = 0, max = 1), example = 0.05)]
    creates_again_max_share: f64,
    /// How many new copies of one entity may be made at once in a system that holds some; more of them are held if they
    /// pass `creates_max_share` as well.
    #[schemars(example = 10_000)]
    creates_max_count: u64,
    /// Which share of a system's copies of one entity may be made at once; 1 is as many again.
    #[schemars(range(min = 0), example = 0.5)]
    creates_max_share: f64,
}

impl Default for GuardKeys {
    fn default() -> Self {
        let defaults = Guards::default();
        Self {
            deletes_max_count: defaults.deletes_max,
            deletes_max_share: defaults.deletes_max_share,
            creates_again_max_count: defaults.creates_again_max,
            creates_again_max_share: defaults.creates_again_max_share,
            creates_max_count: defaults.creates_max,
            creates_max_share: defaults.creates_max_share,
        }
    }
}

/// How `avowal run` reconciles by itself; without this section it does not.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "reconcile")]
pub(super) struct ReconcileKeys {
    /// How often, as in `6h`. Of several workers one reconciles at a time, up to a tenth of this later.
    #[schemars(example = &"6h")]
    every: String,
    /// How long after a change of a copy nothing is concluded about it, as in `5m`. The default is how late the system may
    /// be.
    #[serde(default)]
    #[schemars(example = &"5m")]
    settle: Option<String>,
    /// Whether what is found is repaired as well, as far as `repair` of each entity and field lets it go; otherwise it is
    /// only reported.
    #[serde(default = "yes")]
    #[schemars(example = false)]
    repair: bool,
}

fn yes() -> bool {
    true
}

/// The shortest interval of a schedule, in milliseconds.
const EVERY_MS_MIN: u64 = 1_000;

/// Where webhooks come in; `127.0.0.1:8787` without this section. Nothing listens unless a system has a `webhook`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "listen")]
pub(super) struct ListenKeys {
    /// The address and port.
    #[schemars(example = &"0.0.0.0:8787")]
    addr: String,
}

impl Reading<'_> {
    /// The schedule of reconciliations: nothing where there is none, `None` where it is wrong.
    pub(super) fn reconcile(&self, configuration: &str) -> Option<Option<ReconcileSchedule>> {
        let Some((table, at)) = self.section("reconcile") else { return Some(None) };
        let keys: ReconcileKeys = decode::table(table, at, self.report)?;
        let time = |key: &str, text: &str, least: u64| {
            let read = duration::milliseconds(text).filter(|ms| *ms >= least);
            if read.is_none() {
                let at = table.get(key).map_or(at, |entry| entry.node.at);
                self.report.add(at, format!("{text:?} is no length of time that fits here"), duration::FORM);
            }
            read
        };
        let every_ms = time("every", &keys.every, EVERY_MS_MIN)?;
        let settle_ms = match &keys.settle {
            Some(text) => Some(time("settle", text, 0)?),
            None => None,
        };
        let configuration = configuration.to_owned();
        Some(Some(ReconcileSchedule { every_ms, settle_ms, repair: keys.repair, configuration }))
    }

    pub(super) fn settings(&self) -> Option<Settings> {
        let defaults = Settings::default();
        let guards = self.guards(&defaults.guards);
        let Some((table, at)) = self.section("settings") else {
            return Some(Settings { guards: guards?, ..defaults });
        };
        let keys: SettingsKeys = decode::table(table, at, self.report)?;
        let settings = Settings {
            batch_records_max: keys.batch,
            settle_ms: keys.settle_ms,
            backoff_min_ms: keys.backoff_min_ms,
            backoff_max_ms: keys.backoff_max_ms,
            patience_ms: keys.patience_ms,
            attempts_max: keys.attempts_max,
            deliveries_kept_days: keys.deliveries_kept_days,
            guards: guards?,
            ..defaults
        };
        self.check_settings(table, &settings);
        Some(settings)
    }

    fn check_settings(&self, table: &Table, settings: &Settings) {
        let within = |key: &str, value: u64, least: u64, most: u64| {
            if let (false, Some(entry)) = ((least..=most).contains(&value), table.get(key)) {
                self.report.add(
                    entry.node.at,
                    "the value is out of range",
                    format!("Write {least} to {most}"),
                );
            }
        };
        within("batch", settings.batch_records_max as u64, 1, BATCH_RECORDS_MAX as u64);
        within("settle_ms", settings.settle_ms, 0, DAY_MS);
        within("backoff_min_ms", settings.backoff_min_ms, 1, settings.backoff_max_ms);
        within("backoff_max_ms", settings.backoff_max_ms, 1, DAY_MS);
        within("patience_ms", settings.patience_ms, 0, DAY_MS);
        within("attempts_max", u64::from(settings.attempts_max), 1, ATTEMPTS_MAX.into());
        within(
            "deliveries_kept_days",
            u64::from(settings.deliveries_kept_days),
            1,
            DELIVERIES_KEPT_DAYS_MAX.into(),
        );
    }

    fn guards(&self, defaults: &Guards) -> Option<Guards> {
        let Some((table, at)) = self.section("guards") else { return Some(defaults.clone()) };
        let keys: GuardKeys = decode::table(table, at, self.report)?;
        let shares = [
            ("deletes_max_share", keys.deletes_max_share),
            ("creates_again_max_share", keys.creates_again_max_share),
        ];
        for (key, share) in shares {
            if let (false, Some(entry)) = ((0.0..=1.0).contains(&share), table.get(key)) {
                self.report.add(entry.node.at, "a share lies between 0 and 1", "Write 0.1 for a tenth");
            }
        }
        Some(Guards {
            deletes_max: keys.deletes_max_count,
            deletes_max_share: keys.deletes_max_share,
            deletes_approved: defaults.deletes_approved.clone(),
            creates_again_max: keys.creates_again_max_count,
            creates_again_max_share: keys.creates_again_max_share,
            creates_max: keys.creates_max_count,
            creates_max_share: keys.creates_max_share,
        })
    }

    /// Where webhooks are taken: nowhere, unless a system sends them.
    pub(super) fn listen(&self, systems: &Systems) -> Option<Option<SocketAddr>> {
        let wanted = systems
            .values()
            .filter_map(|system| system.common.as_ref())
            .any(|system| system.webhook.is_some());
        let (addr, at) = match self.section("listen") {
            Some((table, at)) => {
                let keys: ListenKeys = decode::table(table, at, self.report)?;
                (keys.addr, table.get("addr").map_or(at, |entry| entry.node.at))
            }
            None => (LISTEN.to_owned(), 0),
        };
        match addr.parse() {
            Ok(addr) => Some(wanted.then_some(addr)),
            Err(_) => {
                self.report.add(
                    at,
                    "this is no address to listen on",
                    format!("Write `addr = \"{LISTEN}\"`"),
                );
                None
            }
        }
    }
}
