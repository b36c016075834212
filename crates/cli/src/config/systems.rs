//! `[store]` and `[systems.NAME]`: where things are, and how they are reached.

use super::decode::{self, keys_of};
use super::node::{Entry, Kind, Table};
use super::problem::nearest;
use super::{Node, Reading};
use avowal_connectors::http::{HttpObject, HttpOptions};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::policy::SystemTraits;
use avowal_engine::WriteRate;
use avowal_server::signature::Secret;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// How often a table's log is asked, where the database does not wake us.
const POLL_TABLES_MS: u64 = 1_000;
/// How often a service is asked.
const POLL_HTTP_MS: u64 = 5_000;
/// The shortest pause between two questions.
const POLL_MIN_MS: u64 = 50;
/// How far a webhook sender's clock may be off.
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
    /// Our own bound on writes to it.
    pub rate: Option<WriteRate>,
    /// How its webhooks are verified; `None` if it sends none.
    pub webhook: Option<WebhookConfig>,
    /// How it is reached.
    pub connector: ConnectorConfig,
}

/// How a system is reached.
pub enum ConnectorConfig {
    /// Tables of a SQLite file.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// Tables of a Postgres database.
    Postgres {
        /// The connection string; holds a password.
        url: String,
    },
    /// A JSON service.
    Http {
        /// The service.
        options: Box<HttpOptions>,
        /// Its objects by entity.
        objects: BTreeMap<EntityName, HttpObject>,
    },
}

/// How a system's webhooks are verified.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// The secrets it may sign with.
    pub secrets: Vec<Secret>,
    /// How far its clock may be off, in seconds.
    pub tolerance_s: u32,
}

/// The keys that every system has.
#[derive(Deserialize)]
struct Common {
    #[serde(rename = "connector")]
    _connector: String,
    #[serde(default, rename = "local")]
    _local: bool,
    #[serde(rename = "clock")]
    _clock: Option<Clock>,
    poll_ms: Option<u64>,
    rate: Option<Rate>,
    #[serde(rename = "webhook")]
    _webhook: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Clock {
    #[serde(rename = "trusted")]
    _trusted: bool,
    #[serde(default, rename = "skew_ms")]
    _skew_ms: u64,
}

#[derive(Deserialize)]
struct Rate {
    per_second: u32,
    burst: Option<u32>,
}

#[derive(Deserialize)]
struct UrlKey {
    url: String,
}

#[derive(Deserialize)]
struct WebhookKeys {
    #[serde(rename = "secrets")]
    _secrets: serde::de::IgnoredAny,
    tolerance_s: Option<u32>,
}

#[derive(Deserialize)]
struct DatedSecret {
    secret: String,
    until: String,
}

/// Systems as they were read. What the policies ask of one is known even if the rest of it has problems, so that
/// one problem is not followed by others that are none.
pub type Systems = BTreeMap<SystemName, SystemRead>;

/// One system as it was read.
pub struct SystemRead {
    /// What the policies know of it.
    pub traits: SystemTraits,
    /// Whether it is certain that it is, or is not, the local system.
    pub local_is_certain: bool,
    /// Whether its objects may be declared with `http`.
    pub is_http: bool,
    /// The rest; `None` if it has problems.
    pub config: Option<SystemConfig>,
}

/// The systems with their objects, once everything has been read without a problem.
pub fn with_objects(
    systems: Systems,
    mut http: BTreeMap<SystemName, BTreeMap<EntityName, HttpObject>>,
) -> BTreeMap<SystemName, SystemConfig> {
    let mut out = BTreeMap::new();
    for (name, system) in systems {
        let Some(mut system) = system.config else { continue };
        if let ConnectorConfig::Http { objects, .. } = &mut system.connector {
            *objects = http.remove(&name).unwrap_or_default();
        }
        out.insert(name, system);
    }
    out
}

impl Reading<'_> {
    pub(super) fn store(&self) -> Option<StoreLocation> {
        let Some((table, at)) = self.section("store") else {
            self.report.add(0, "there is no [store]", "Write [store] with `url = \"sqlite:avowal.db\"`");
            return None;
        };
        let place: UrlKey = decode::table(table, at, self.report)?;
        if is_postgres(&place.url) {
            return Some(StoreLocation::Postgres(place.url));
        }
        if !place.url.is_empty() && !place.url.starts_with("sqlite:") {
            let cure = "Write `sqlite:PATH` for one process, or `postgres://user@host/database` for several";
            self.at_url(table, "this is no place for a store", cure);
            return None;
        }
        self.sqlite_path(table, &place.url).map(StoreLocation::Sqlite)
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
            let is_http = !matches!(word(table, "connector"), Some("sqlite" | "postgres"));
            let local_is_certain = local_is_certain(table);
            let config = self.system(table, at);
            out.insert(name.as_str().into(), SystemRead { traits, local_is_certain, is_http, config });
        }
        out
    }

    fn system(&self, table: &Table, at: usize) -> Option<SystemConfig> {
        let before = self.report.len();
        let connector = self.connector_of(table, at)?;
        let (own, poll_ms) = match connector {
            "sqlite" | "postgres" => (keys_of::<UrlKey>(), POLL_TABLES_MS),
            _ => (keys_of::<HttpOptions>(), POLL_HTTP_MS),
        };
        let common_keys = keys_of::<Common>();
        let known: Vec<&str> = common_keys.iter().chain(own).copied().collect();
        decode::refuse_unknown(table, &known, self.report);
        // A key that the connector knows is the connector's: it paces its requests better than we do.
        let own_keys: Vec<&str> = own.to_vec();
        let shared: Vec<&str> = common_keys.iter().copied().filter(|key| !own.contains(key)).collect();
        let common: Option<Common> = decode::table(&decode::part(table, &shared), at, self.report);
        let reached = self.reached(connector, &decode::part(table, &own_keys), at);
        let webhook = table.get("webhook").map(|entry| self.webhook(entry, connector));
        let common = common?;
        let poll_ms = common.poll_ms.unwrap_or(poll_ms);
        if let (true, Some(entry)) = (poll_ms < POLL_MIN_MS, table.get("poll_ms")) {
            self.report.add(entry.node.at, "the pause is too short", format!("Write at least {POLL_MIN_MS}"));
        }
        let rate = self.rate(common.rate, table);
        let system = SystemConfig { poll_ms, rate, webhook: webhook.flatten(), connector: reached? };
        (self.report.len() == before).then_some(system)
    }

    fn connector_of<'t>(&self, table: &'t Table, at: usize) -> Option<&'t str> {
        const CONNECTORS: [&str; 3] = ["sqlite", "postgres", "http"];
        let Some(entry) = table.get("connector") else {
            let cure = "Write `connector = …`: \"sqlite\", \"postgres\" or \"http\"";
            self.report.add(at, "the key `connector` is missing", cure);
            return None;
        };
        match &entry.node.kind {
            Kind::Text(name) if CONNECTORS.contains(&name.as_str()) => Some(name),
            Kind::Text(name) => {
                let cure = match nearest(name, CONNECTORS) {
                    Some(meant) => format!("Did you mean \"{meant}\"?"),
                    None => format!("Use one of {}", CONNECTORS.join(", ")),
                };
                self.report.add(entry.node.at, "no connector has this name", cure);
                None
            }
            Kind::Integer(_)
            | Kind::Float(_)
            | Kind::Boolean(_)
            | Kind::Time(_)
            | Kind::List(_)
            | Kind::Table(_) => {
                let problem = format!("this is {}", entry.node.describe());
                self.report.add(entry.node.at, problem, format!("Write one of {}", CONNECTORS.join(", ")));
                None
            }
        }
    }

    fn reached(&self, connector: &str, own: &Table, at: usize) -> Option<ConnectorConfig> {
        match connector {
            "sqlite" => {
                let place: UrlKey = decode::table(own, at, self.report)?;
                Some(ConnectorConfig::Sqlite { path: self.sqlite_path(own, &place.url)? })
            }
            "postgres" => {
                let place: UrlKey = decode::table(own, at, self.report)?;
                if !place.url.is_empty() && !is_postgres(&place.url) {
                    let cure = "Write `postgres://user@host/database`";
                    self.at_url(own, "this is no address of a Postgres database", cure);
                    return None;
                }
                Some(ConnectorConfig::Postgres { url: place.url })
            }
            _ => {
                let options: HttpOptions = decode::table(own, at, self.report)?;
                let schemes = ["http://", "https://"];
                if !options.url.is_empty() && !schemes.iter().any(|scheme| options.url.starts_with(scheme)) {
                    self.at_url(own, "this is no address of a service", "Write `https://host/path`");
                    return None;
                }
                Some(ConnectorConfig::Http { options: Box::new(options), objects: BTreeMap::new() })
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

    fn rate(&self, rate: Option<Rate>, table: &Table) -> Option<WriteRate> {
        let rate = rate?;
        let burst = rate.burst.unwrap_or(rate.per_second);
        if let (true, Some(entry)) = (rate.per_second == 0 || burst == 0, table.get("rate")) {
            self.report.add(entry.node.at, "a rate of 0 would never write", "Write at least 1");
        }
        Some(WriteRate { per_second: rate.per_second, burst })
    }

    fn webhook(&self, entry: &Entry, connector: &str) -> Option<WebhookConfig> {
        if connector != "http" {
            let problem = format!("a {connector} system sends no webhooks");
            self.report.add(entry.at, problem, "Remove `webhook`");
            return None;
        }
        let (table, at) = self.named_table(&entry.node, entry.at)?;
        let keys: WebhookKeys = decode::table(table, at, self.report)?;
        let secrets = table.get("secrets")?;
        let Kind::List(items) = &secrets.node.kind else {
            let problem = format!("this is {}", secrets.node.describe());
            self.report.add(secrets.node.at, problem, "Write a list: `secrets = [\"env:NAME\"]`");
            return None;
        };
        let secrets: Vec<Secret> = items.iter().filter_map(|item| self.secret(item)).collect();
        Some(WebhookConfig { secrets, tolerance_s: keys.tolerance_s.unwrap_or(TOLERANCE_S) })
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

fn word<'t>(table: &'t Table, key: &str) -> Option<&'t str> {
    match &table.get(key)?.node.kind {
        Kind::Text(text) => Some(text),
        Kind::Integer(_)
        | Kind::Float(_)
        | Kind::Boolean(_)
        | Kind::Time(_)
        | Kind::List(_)
        | Kind::Table(_) => None,
    }
}
