//! The configuration: one TOML file, checked as a whole, every problem with its line, column and cure.
//!
//! In here: the written form, from the text to checked values, and its schema. Never in here: what a connector's keys mean,
//! and nothing is opened or reached.
//! Begin with `build` below; `systems.rs`, `entities.rs` and `settings.rs` hold a struct for each table that may be written.

mod connector;
mod decode;
mod digest;
mod entities;
#[cfg(test)]
mod fuzz_config;
mod node;
mod problem;
mod reference;
mod schema;
mod settings;
mod systems;

pub use connector::ConnectorKind;
pub use problem::Problems;
pub use schema::schema;
pub use systems::{StoreLocation, SystemConfig};

use avowal_core::DomainRules;
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::policy::EntityPolicy;
use avowal_engine::Settings;
use decode::keys_of;
use entities::EntityKeys;
use node::{Node, Table};
use problem::Report;
use reference::References;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use settings::{GuardKeys, ListenKeys, ReconcileKeys, SettingsKeys};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use systems::StoreKeys;

/// The largest configuration that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The longest name of a system, entity or field, in characters.
const NAME_CHARS_MAX: usize = 64;

/// A checked configuration. Its policies have no holes.
pub struct Config {
    /// Where the history and the states live.
    pub store: StoreLocation,
    /// Where a daemon is asked by commands beside it.
    pub socket: PathBuf,
    /// The systems by name.
    pub systems: BTreeMap<SystemName, SystemConfig>,
    /// The rules by entity.
    pub policies: BTreeMap<EntityName, Arc<EntityPolicy>>,
    /// Where webhooks are taken; `None` if no system sends any.
    pub listen: Option<SocketAddr>,
    /// The engine's bounds and delays.
    pub settings: Settings,
    /// The short digest of the whole file, without secrets.
    pub digest: String,
}

/// Reads and checks the file. Everything that is wrong is reported together, as far as it can be told. Its rules may name
/// what is registered in `domain`.
pub fn load(path: &Path, domain: &DomainRules) -> Result<Config, Problems> {
    let text = read(path)?;
    let report = Report::new(&text);
    let config = build(&text, path, domain, &report);
    match (report.finish(path), config) {
        (None, Some(config)) => Ok(config),
        (Some(problems), _) => Err(problems),
        (None, None) => Err(Problems::of_file(path, "the configuration cannot be read", "Correct it")),
    }
}

fn read(path: &Path) -> Result<String, Problems> {
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Problems::of_file(
            path,
            "there is no such file",
            "Run `avowal init` to begin one, or name it with `-c FILE`",
        ),
        std::io::ErrorKind::InvalidData => {
            Problems::of_file(path, "the file is not UTF-8 text", "Save it as UTF-8")
        }
        _ => Problems::of_file(path, format!("the file cannot be read: {error}"), "Check its permissions"),
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let problem = format!("the file is larger than {FILE_BYTES_MAX} bytes");
        return Err(Problems::of_file(path, problem, "Is it the right file?"));
    }
    Ok(text)
}

/// The sections of the file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "The configuration of Avowal")]
#[expect(
    dead_code,
    reason = "each section is read by itself, so that all problems are found; this names and describes them"
)]
struct Sections {
    /// Where the history, and everything derived from it, is kept.
    #[schemars(with = "StoreKeys")]
    store: IgnoredAny,
    /// The systems by name.
    #[schemars(schema_with = "schema::systems")]
    systems: IgnoredAny,
    /// The kinds of records by name.
    #[schemars(with = "BTreeMap<String, EntityKeys>")]
    entities: IgnoredAny,
    /// Where webhooks come in.
    #[schemars(with = "Option<ListenKeys>")]
    listen: IgnoredAny,
    /// Bounds and delays of the synchronisation.
    #[schemars(with = "Option<SettingsKeys>")]
    settings: IgnoredAny,
    /// Limits that hold writes until a person approves them.
    #[schemars(with = "Option<GuardKeys>")]
    guards: IgnoredAny,
    /// How the service reconciles by itself.
    #[schemars(with = "Option<ReconcileKeys>")]
    reconcile: IgnoredAny,
}

/// One reading of a configuration.
pub struct Reading<'a> {
    root: &'a Node,
    folder: &'a Path,
    domain: &'a DomainRules,
    report: &'a Report<'a>,
}

fn build(text: &str, path: &Path, domain: &DomainRules, report: &Report<'_>) -> Option<Config> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let root = node::parse(text, &References::new(folder), report)?;
    let reading = Reading { root: &root, folder, domain, report };
    decode::refuse_unknown(root.table()?, keys_of::<Sections>(), report);
    let store = reading.store();
    let mut systems = reading.systems();
    let policies = reading.entities(&mut systems);
    let settings = reading.settings();
    let digest = digest::digest(&root);
    let reconcile = reading.reconcile(&digest);
    let listen = reading.listen(&systems);
    let (store, socket) = store?;
    let socket = socket.unwrap_or_else(|| match &store {
        StoreLocation::Sqlite(file) => beside(file),
        StoreLocation::Postgres(_) => beside(path),
    });
    Some(Config {
        store,
        socket,
        systems: systems::finish(systems),
        policies: policies?,
        listen: listen?,
        settings: Settings { reconcile: reconcile?, ..settings? },
        digest,
    })
}

/// The socket beside a file.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sock");
    name.into()
}

impl Reading<'_> {
    /// A section of the file, with the place of its name; reports a section that is no table.
    fn section(&self, name: &str) -> Option<(&Table, usize)> {
        let entry = self.root.table()?.get(name)?;
        self.named_table(&entry.node, entry.at)
    }

    fn named_table<'n>(&self, node: &'n Node, at: usize) -> Option<(&'n Table, usize)> {
        match node.table() {
            Some(table) => Some((table, at)),
            None => {
                self.report.add(node.at, format!("this is {}", node.describe()), "Write a table");
                None
            }
        }
    }

    /// A path of the configuration, relative to its folder.
    fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// Names travel through keys, dots and commands, so they are plain.
    fn check_name(&self, kind: &str, name: &str, at: usize) {
        let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-');
        let begins = name.chars().next().is_some_and(|char| char.is_ascii_alphabetic() || char == '_');
        if !begins || !name.chars().all(plain) || name.len() > NAME_CHARS_MAX {
            let problem = format!("{name:?} cannot be the name of {kind}");
            let cure = "Use letters, digits, `_` and `-`, beginning with a letter, at most 64";
            self.report.add(at, problem, cure);
        }
    }
}
