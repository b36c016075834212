//! `[settings]`, `[guards]` and `[listen]`: bounds, delays, and where webhooks are taken.

use super::Reading;
use super::decode;
use super::node::Table;
use super::systems::Systems;
use avowal_engine::{Guards, Settings};
use serde::Deserialize;
use std::net::SocketAddr;

/// Where webhooks are taken if nothing else is written.
const LISTEN: &str = "127.0.0.1:8787";

#[derive(Deserialize)]
struct SettingsKeys {
    batch: Option<usize>,
    settle_ms: Option<u64>,
    backoff_min_ms: Option<u64>,
    backoff_max_ms: Option<u64>,
    patience_ms: Option<u64>,
    attempts_max: Option<u32>,
    deliveries_kept_days: Option<u32>,
}

#[derive(Deserialize)]
struct GuardKeys {
    deletes_max_count: Option<u64>,
    deletes_max_share: Option<f64>,
}

#[derive(Deserialize)]
struct ListenKeys {
    addr: String,
}

impl Reading<'_> {
    pub(super) fn settings(&self) -> Option<Settings> {
        let defaults = Settings::default();
        let guards = self.guards(&defaults.guards);
        let Some((table, at)) = self.section("settings") else {
            return Some(Settings { guards: guards?, ..defaults });
        };
        let keys: SettingsKeys = decode::table(table, at, self.report)?;
        let settings = Settings {
            batch_records_max: keys.batch.unwrap_or(defaults.batch_records_max),
            settle_ms: keys.settle_ms.unwrap_or(defaults.settle_ms),
            backoff_min_ms: keys.backoff_min_ms.unwrap_or(defaults.backoff_min_ms),
            backoff_max_ms: keys.backoff_max_ms.unwrap_or(defaults.backoff_max_ms),
            patience_ms: keys.patience_ms.unwrap_or(defaults.patience_ms),
            attempts_max: keys.attempts_max.unwrap_or(defaults.attempts_max),
            deliveries_kept_days: keys.deliveries_kept_days.unwrap_or(defaults.deliveries_kept_days),
            guards: guards?,
        };
        self.check_settings(table, &settings);
        Some(settings)
    }

    fn check_settings(&self, table: &Table, settings: &Settings) {
        const DAY_MS: u64 = 24 * 60 * 60 * 1000;
        const BATCH_MAX: usize = avowal_engine::ports::store::BATCH_RECORDS_MAX;
        let within = |key: &str, value: u64, least: u64, most: u64| {
            if let (false, Some(entry)) = ((least..=most).contains(&value), table.get(key)) {
                self.report.add(
                    entry.node.at,
                    "the value is out of range",
                    format!("Write {least} to {most}"),
                );
            }
        };
        within("batch", settings.batch_records_max as u64, 1, BATCH_MAX as u64);
        within("settle_ms", settings.settle_ms, 0, DAY_MS);
        within("backoff_min_ms", settings.backoff_min_ms, 1, settings.backoff_max_ms);
        within("backoff_max_ms", settings.backoff_max_ms, 1, DAY_MS);
        within("patience_ms", settings.patience_ms, 0, DAY_MS);
        within("attempts_max", u64::from(settings.attempts_max), 1, 1000);
        within("deliveries_kept_days", u64::from(settings.deliveries_kept_days), 1, 3650);
    }

    fn guards(&self, defaults: &Guards) -> Option<Guards> {
        let Some((table, at)) = self.section("guards") else { return Some(defaults.clone()) };
        let keys: GuardKeys = decode::table(table, at, self.report)?;
        let share = keys.deletes_max_share.unwrap_or(defaults.deletes_max_share);
        if let (false, Some(entry)) = ((0.0..=1.0).contains(&share), table.get("deletes_max_share")) {
            self.report.add(entry.node.at, "a share lies between 0 and 1", "Write 0.1 for a tenth");
        }
        Some(Guards {
            deletes_max: keys.deletes_max_count.unwrap_or(defaults.deletes_max),
            deletes_max_share: share,
            deletes_approved: defaults.deletes_approved.clone(),
        })
    }

    /// Where webhooks are taken: nowhere, unless a system sends them.
    pub(super) fn listen(&self, systems: &Systems) -> Option<Option<SocketAddr>> {
        let wanted = systems
            .values()
            .filter_map(|system| system.config.as_ref())
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
