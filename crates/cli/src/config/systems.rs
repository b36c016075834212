//! `[store]` and `[systems.NAME]`: where things are, and how they are reached.

use super::connector::{ConnectorKind, Declared, Declaring};
use super::decode::{self, keys_of};
use super::node::{Entry, Kind, Table};
use super::problem::nearest;
use super::{Node, Reading};
use crate::connectors::KINDS;
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;
use avowal_core::policy::SystemTraits;
use avowal_engine::WriteRate;
use avowal_server::signature::Secret;
use avowal_server::webhook::SecretPath;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The shortest pause between two questions, in milliseconds.
const POLL_MIN_MS: u64 = 50;
/// How far a webhook sender's clock may be off, in seconds.
const TOLERANCE_S: u32 = 300;

/// Where the store is.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// One SQLite file, for one process.
    Sqlite(PathBuf),
    /// A Postgres database, for any number of processes; the connection string holds a password.
    Postgres(String),
}

/// One system as it is configured.
pub struct SystemConfig {
    /// How often its feed is asked while the daemon runs, in milliseconds.
    pub poll_ms: u64,
    /// How late at most its reads show a change, in milliseconds, where that is declared.
    pub lag_ms: Option<u64>,
    /// Our own bound on writes to it.
    pub rate: Option<WriteRate>,
    /// How its webhooks are verified; `None` if it sends none.
    pub webhook: Option<WebhookConfig>,
    /// How it is reached.
    pub connector: Box<dyn Declared>,
}

/// How a system's webhooks are verified.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// The secrets it may sign with.
    pub secrets: Vec<Secret>,
    /// The last part of the path of a sender that does not sign.
    pub secret_path: Option<SecretPath>,
    /// How far its clock may be off, in seconds.
    pub tolerance_s: u32,
}

/// Where the history, and everything derived from it, is kept.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "store")]
pub(super) struct StoreKeys {
    /// `sqlite:PATH`: one file for one process. `postgres://user@host/database`: a database that any number of
    /// `avowal run` share. It may hold a password, so keep it in the environment.
    #[schemars(extend("examples" = ["sqlite:avowal.db", "env:STORE_URL"]))]
    url: String,
    /// Where `avowal run` answers the commands of people beside it: a socket that only its user may open. Without it
    /// `.sock` is added to the name of the store's file, or to that of the configuration if the store is in Postgres. At most
    /// 103 bytes, with its folders.
    #[schemars(example = &"/run/avowal/avowal.sock")]
    socket: Option<String>,
}

/// The keys that every system has. Fields with an underscore are read elsewhere: the policies need them even if
/// other keys of the system are wrong.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "system")]
pub(super) struct SystemKeys {
    /// How the system is reached.
    #[serde(rename = "connector")]
    _connector: String,
    /// Whether `local_wins` speaks of this system. At most one system is local.
    #[serde(default, rename = "local")]
    #[schemars(example = true)]
    _local: bool,
    /// Says that the system's times may decide `latest_valid_change`, where they are further apart than both clocks may be
    /// off.
    #[serde(rename = "clock")]
    #[schemars(extend("examples" = [{ "trusted": true, "skew_ms": 500 }]))]
    _clock: Option<ClockKeys>,
    /// How often the system's change feed is asked while `avowal run` runs, in milliseconds. A system that tells of a
    /// change by itself is asked at once.
    #[schemars(range(min = POLL_MIN_MS), example = 10_000)]
    poll_ms: Option<u64>,
    /// How late at most a read of the system shows a change, in milliseconds. What stood in a copy before is not believed
    /// within that time. Without it the bound is fifteen times `settle_ms`, or twice the longest lag that was seen, if
    /// that is more.
    #[schemars(example = 30_000)]
    lag_ms: Option<u64>,
    /// A bound on our writes to the system. Without it they go out as fast as it takes them.
    #[schemars(extend("examples" = [{ "per_second": 10, "burst": 20 }]))]
    rate: Option<RateKeys>,
    /// Says that the system sends webhooks, and how they are signed. Without it none is accepted from the system.
    #[serde(rename = "webhook")]
    #[schemars(with = "Option<WebhookKeys>", extend("examples" = [{ "secrets": ["env:CRM_WEBHOOK_SECRET"] }]))]
    _webhook: Option<IgnoredAny>,
}

/// A system's clock.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "clock")]
struct ClockKeys {
    /// Whether the system's times may decide.
    #[serde(rename = "trusted")]
    #[schemars(example = true)]
    _trusted: bool,
    /// How far the clock may be off, in milliseconds.
    #[serde(default, rename = "skew_ms")]
    #[schemars(example = 500)]
    _skew_ms: u64,
}

/// A bound on our writes to a system.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "rate")]
struct RateKeys {
    /// Writes a second, on average.
    #[schemars(range(min = 1), example = 10)]
    per_second: u32,
    /// Writes that may go out at once after a pause; `per_second` by default.
    #[schemars(range(min = 1), example = 20)]
    burst: Option<u32>,
}

/// How a system's webhooks are known to be its own: by a signature of the Standard Webhooks scheme, or by a secret path.
/// With neither they are taken on a loopback address only.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "webhook")]
struct WebhookKeys {
    /// The secrets that the system may sign with, as the system shows them (`whsec_…`). While you replace a secret, name
    /// the old and the new one; the old one may end at a time.
    #[serde(default, rename = "secrets")]
    #[schemars(with = "Vec<SecretKeys>", extend("examples" = [
        ["env:CRM_WEBHOOK_SECRET"],
        ["env:NEW_SECRET", { "secret": "env:OLD_SECRET", "until": "2026-12-31T00:00:00Z" }]
    ]))]
    _secrets: Option<IgnoredAny>,
    /// For a system that does not sign: the last part of the path that it delivers to,
    /// `POST /webhooks/SYSTEM/SECRET_PATH`; at least 24 letters, digits, `-` or `_`. What such a delivery says is not
    /// believed: it is taken as a signal, and the copy is read.
    #[schemars(example = &"env:CRM_WEBHOOK_PATH")]
    secret_path: Option<String>,
    /// How far the sender's clock may be off, in seconds. Older deliveries are refused.
    #[serde(default = "tolerance_s")]
    #[schemars(example = 60)]
    tolerance_s: u32,
}

/// A webhook secret.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "webhook_secret")]
#[expect(
    dead_code,
    reason = "it describes what `Reading::secret` reads by hand, to give each wrong form its own cure"
)]
enum SecretKeys {
    /// A secret that is valid until it is removed.
    Text(String),
    /// A secret that ends.
    Dated(DatedSecret),
}

/// A secret that ends at a time.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "dated_webhook_secret")]
struct DatedSecret {
    /// The secret.
    #[schemars(example = &"env:OLD_SECRET")]
    secret: String,
    /// When it ends, with an offset from UTC.
    #[schemars(example = &"2026-12-31T00:00:00Z")]
    until: String,
}

fn tolerance_s() -> u32 {
    TOLERANCE_S
}

/// Systems as they were read. What the policies ask of one is known even if the rest of it has problems, so that
/// one problem does not cause reports of others.
pub type Systems = BTreeMap<SystemName, SystemRead>;

/// One system as it was read.
pub struct SystemRead {
    /// What the policies know of it.
    pub traits: SystemTraits,
    /// Whether it is certain that it is, or is not, the local system.
    pub local_is_certain: bool,
    /// How it is reached; `None` if no known connector is named.
    pub connector: Option<Box<dyn Declaring>>,
    /// The keys that every system has; `None` if there are problems in the system's section.
    pub common: Option<Common>,
}

/// What was read of the keys that every system has.
pub struct Common {
    poll_ms: u64,
    lag_ms: Option<u64>,
    rate: Option<WriteRate>,
    /// How its webhooks are verified.
    pub webhook: Option<WebhookConfig>,
}

/// The systems, once everything has been read without a problem.
pub fn finish(systems: Systems) -> BTreeMap<SystemName, SystemConfig> {
    let finished = systems.into_iter().filter_map(|(name, system)| {
        let Common { poll_ms, lag_ms, rate, webhook } = system.common?;
        let connector = system.connector?.finish()?;
        Some((name, SystemConfig { poll_ms, lag_ms, rate, webhook, connector }))
    });
    finished.collect()
}

impl Reading<'_> {
    /// Where the store is, and where a daemon is asked if that is written.
    pub(super) fn store(&self) -> Option<(StoreLocation, Option<PathBuf>)> {
        let Some((table, at)) = self.section("store") else {
            self.report.add(0, "there is no [store]", "Write [store] with `url = \"sqlite:avowal.db\"`");
            return None;
        };
        let place: StoreKeys = decode::table(table, at, self.report)?;
        let socket = place.socket.map(|socket| self.path(&socket));
        if is_postgres(&place.url) {
            return Some((StoreLocation::Postgres(place.url), socket));
        }
        if !place.url.is_empty() && !place.url.starts_with("sqlite:") {
            let cure = "Write `sqlite:PATH` for one process, or `postgres://user@host/database` for several";
            self.at_url(table, "this is no place for a store", cure);
            return None;
        }
        Some((StoreLocation::Sqlite(self.sqlite_path(table, &place.url)?), socket))
    }

    /// The systems by name. At most one is local.
    pub(super) fn systems(&self) -> Systems {
        let Some((table, _)) = self.section("systems") else {
            self.report.add(0, "there are no systems", "Write [systems.NAME] for each system");
            return Systems::new();
        };
        let mut local: Option<&str> = None;
        let mut out = Systems::new();
        for (name, entry) in table {
            self.check_name("a system", name, entry.at);
            if matches!(name.as_str(), "shared" | SystemName::OPERATOR) {
                self.report.add(
                    entry.at,
                    format!("{name:?} has a meaning of its own"),
                    "Choose another name",
                );
            }
            let Some((table, at)) = self.named_table(&entry.node, entry.at) else { continue };
            let traits = traits(table);
            if let (true, Some(first)) = (traits.local, local) {
                let problem = format!("both {first} and {name} are the local system");
                self.report.add(entry.at, problem, "Keep `local = true` in one of them");
            }
            if traits.local {
                local = Some(name);
            }
            let local_is_certain = local_is_certain(table);
            let (connector, common) = self.system(table, at);
            out.insert(name.as_str().into(), SystemRead { traits, local_is_certain, connector, common });
        }
        out
    }

    fn system(&self, table: &Table, at: usize) -> (Option<Box<dyn Declaring>>, Option<Common>) {
        let before = self.report.len();
        let Some(kind) = self.kind_of(table, at) else { return (None, None) };
        let own = (kind.system_keys)();
        let common_keys = keys_of::<SystemKeys>();
        let known: Vec<&str> = common_keys.iter().chain(own).copied().collect();
        decode::refuse_unknown(table, &known, self.report);
        // A key that the connector knows is the connector's: it knows better than we do how fast its requests may be.
        let shared: Vec<&str> = common_keys.iter().copied().filter(|key| !own.contains(key)).collect();
        let keys: Option<SystemKeys> = decode::table(&decode::part(table, &shared), at, self.report);
        let mut connector = (kind.begin)(self.folder);
        connector.read_system(self, &decode::part(table, own), at);
        let webhook = table.get("webhook").map(|entry| self.webhook(entry, kind));
        let common = keys.map(|keys| Common {
            poll_ms: self.poll_ms(&keys, table, kind),
            lag_ms: keys.lag_ms,
            rate: self.rate(keys.rate, table),
            webhook: webhook.flatten(),
        });
        (Some(connector), common.filter(|_| self.report.len() == before))
    }

    fn poll_ms(&self, keys: &SystemKeys, table: &Table, kind: &ConnectorKind) -> u64 {
        let poll_ms = keys.poll_ms.unwrap_or(kind.poll_ms);
        if let (true, Some(entry)) = (poll_ms < POLL_MIN_MS, table.get("poll_ms")) {
            self.report.add(entry.node.at, "the pause is too short", format!("Write at least {POLL_MIN_MS}"));
        }
        poll_ms
    }

    fn kind_of(&self, table: &Table, at: usize) -> Option<&'static ConnectorKind> {
        let names = || KINDS.iter().map(|kind| kind.name);
        let Some(entry) = table.get("connector") else {
            let quoted: Vec<String> = names().map(|name| format!("{name:?}")).collect();
            let cure = format!("Write `connector = …`: {}", one_of(&quoted));
            self.report.add(at, "the key `connector` is missing", cure);
            return None;
        };
        let names_listed = || names().collect::<Vec<_>>().join(", ");
        match &entry.node.kind {
            Kind::Text(name) => {
                let known = KINDS.iter().find(|kind| kind.name == name);
                if known.is_none() {
                    let cure = match nearest(name, names()) {
                        Some(meant) => format!("Did you mean \"{meant}\"?"),
                        None => format!("Use one of {}", names_listed()),
                    };
                    self.report.add(entry.node.at, "no connector has this name", cure);
                }
                known
            }
            Kind::Integer(_)
            | Kind::Float(_)
            | Kind::Boolean(_)
            | Kind::Time(_)
            | Kind::List(_)
            | Kind::Table(_) => {
                let problem = format!("this is {}", entry.node.describe());
                self.report.add(entry.node.at, problem, format!("Write one of {}", names_listed()));
                None
            }
        }
    }

    /// `sqlite:PATH`, relative to the configuration's folder. An empty text is a reference that was reported.
    fn sqlite_path(&self, table: &Table, url: &str) -> Option<PathBuf> {
        match url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path)) {
            Some("") => self.at_url(table, "the path of the file is missing", "Write `sqlite:PATH`"),
            Some(path) => return Some(self.path(path)),
            None if url.is_empty() => {}
            None => self.at_url(
                table,
                "this is no address of a SQLite file",
                "Write `sqlite:PATH`, as in `sqlite:app.db`",
            ),
        }
        None
    }

    fn at_url(&self, table: &Table, problem: &str, cure: &str) {
        let at = table.get("url").map_or(0, |entry| entry.node.at);
        self.report.add(at, problem, cure);
    }

    fn rate(&self, rate: Option<RateKeys>, table: &Table) -> Option<WriteRate> {
        let rate = rate?;
        let burst = rate.burst.unwrap_or(rate.per_second);
        if let (true, Some(entry)) = (rate.per_second == 0 || burst == 0, table.get("rate")) {
            self.report.add(entry.node.at, "a rate of 0 would never write", "Write at least 1");
        }
        Some(WriteRate { per_second: rate.per_second, burst })
    }

    fn webhook(&self, entry: &Entry, kind: &ConnectorKind) -> Option<WebhookConfig> {
        if !kind.webhooks {
            let problem = format!("a {} system sends no webhooks", kind.name);
            self.report.add(entry.at, problem, "Remove `webhook`");
            return None;
        }
        let (table, at) = self.named_table(&entry.node, entry.at)?;
        let keys: WebhookKeys = decode::table(table, at, self.report)?;
        let secrets: Vec<Secret> = match table.get("secrets").map(|secrets| &secrets.node) {
            None => Vec::new(),
            Some(Node { kind: Kind::List(items), .. }) => {
                items.iter().filter_map(|item| self.secret(item)).collect()
            }
            Some(node) => {
                let problem = format!("this is {}", node.describe());
                self.report.add(node.at, problem, "Write a list: `secrets = [\"env:NAME\"]`");
                return None;
            }
        };
        let secret_path = keys.secret_path.and_then(|text| self.secret_path(table, &text));
        Some(WebhookConfig { secrets, secret_path, tolerance_s: keys.tolerance_s })
    }

    fn secret_path(&self, table: &Table, text: &str) -> Option<SecretPath> {
        let node = &table.get("secret_path")?.node;
        if text.is_empty() && node.fetched {
            return None;
        }
        let path = SecretPath::parse(text);
        if path.is_none() {
            let problem =
                format!("a secret path holds at least {} letters, digits, `-` or `_`", SecretPath::CHARS_MIN);
            self.report.add(node.at, problem, "Make one with `openssl rand -hex 24`");
        }
        path
    }

    /// A secret, or `{ secret = "…", until = "…" }` for the old one of a rotation.
    fn secret(&self, node: &Node) -> Option<Secret> {
        let (text, until) = if let Kind::Text(text) = &node.kind {
            (text.clone(), None)
        } else {
            let dated: DatedSecret = decode::value(node, node.at, self.report)?;
            let until: Result<Timestamp, String> = dated.until.parse();
            match until {
                Ok(until) => (dated.secret, Some(until)),
                Err(_) => {
                    let cure = "Write `until = \"2026-12-31T00:00:00Z\"`";
                    self.report.add(node.at, "`until` is no point in time", cure);
                    return None;
                }
            }
        };
        if text.is_empty() && node.fetched {
            return None;
        }
        match Secret::parse(&text) {
            Ok(secret) => Some(match until {
                Some(until) => secret.until(until),
                None => secret,
            }),
            Err(error) => {
                self.report.add(node.at, error.to_string(), "Use the secret that the sender shows");
                None
            }
        }
    }
}

/// Whether a text can be the connection string of a Postgres database.
fn is_postgres(url: &str) -> bool {
    ["postgres://", "postgresql://", "host="].iter().any(|begin| url.starts_with(begin))
}

/// What the policies know of a system; wrong types are reported where the system is read as a whole.
fn traits(table: &Table) -> SystemTraits {
    let boolean = |table: &Table, key: &str| {
        table.get(key).is_some_and(|entry| matches!(entry.node.kind, Kind::Boolean(true)))
    };
    let clock =
        table.get("clock").and_then(|entry| entry.node.table()).filter(|clock| boolean(clock, "trusted"));
    let skew = clock.map(|clock| match clock.get("skew_ms").map(|entry| &entry.node.kind) {
        Some(Kind::Integer(ms)) => u64::try_from(*ms).unwrap_or(0),
        Some(_) | None => 0,
    });
    SystemTraits { local: boolean(table, "local"), clock_skew_ms: skew }
}

/// Whether `local` is written as it should be, and nothing beside it looks like a misspelling of it.
fn local_is_certain(table: &Table) -> bool {
    let well_typed = table.get("local").is_none_or(|entry| matches!(entry.node.kind, Kind::Boolean(_)));
    well_typed && !table.keys().any(|key| key != "local" && nearest(key, ["local"]).is_some())
}

/// `a, b or c`.
fn one_of(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
