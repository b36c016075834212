//! The configuration as a tree in which every key and value knows its place in the file.

use super::problem::Report;
use super::reference::References;
use std::collections::BTreeMap;
use toml_edit::{Array, Document, InlineTable, Item, Key, Value};

/// One value of the configuration.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands, as a byte offset.
    pub at: usize,
    /// What it is.
    pub kind: Kind,
    /// Whether it was fetched through `env:` or `file:`: then no message may repeat it.
    pub fetched: bool,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A text, already fetched where it was a reference.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// A date or time, as it is written.
    Time(String),
    /// A list.
    List(Vec<Node>),
    /// A table.
    Table(Table),
}

/// A table of the configuration.
pub type Table = BTreeMap<String, Entry>;

/// One key of a table with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where the key stands, as a byte offset.
    pub at: usize,
    /// Its value.
    pub node: Node,
}

impl Node {
    /// The table, if it is one.
    pub fn table(&self) -> Option<&Table> {
        match &self.kind {
            Kind::Table(table) => Some(table),
            Kind::Text(_)
            | Kind::Integer(_)
            | Kind::Float(_)
            | Kind::Boolean(_)
            | Kind::Time(_)
            | Kind::List(_) => None,
        }
    }

    /// What it is, in words.
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::Text(_) => "a text",
            Kind::Integer(_) => "a whole number",
            Kind::Float(_) => "a number",
            Kind::Boolean(_) => "true or false",
            Kind::Time(_) => "a date or time",
            Kind::List(_) => "a list",
            Kind::Table(_) => "a table",
        }
    }

    /// The place that a path of keys names: the value where it exists, else the last key that does.
    pub fn locate(&self, path: &[String]) -> usize {
        let mut here = self;
        let mut at = self.at;
        for (depth, key) in path.iter().enumerate() {
            let Some(entry) = here.table().and_then(|table| table.get(key)) else { break };
            at = if depth + 1 == path.len() && entry.node.table().is_none() {
                entry.node.at
            } else {
                entry.at
            };
            here = &entry.node;
        }
        at
    }
}

/// Parses the text. A text that is not TOML is one problem; references that lead nowhere are problems too.
pub fn parse(text: &str, references: &References, report: &Report<'_>) -> Option<Node> {
    match Document::parse(text) {
        Ok(document) => {
            let reader = Reader { references, report };
            let kind =
                Kind::Table(reader.table(document.as_table().iter(), |key| document.as_table().key(key)));
            Some(Node { at: 0, kind, fetched: false })
        }
        Err(error) => {
            let message = error.message().lines().next().unwrap_or("unreadable").to_owned();
            let at = error.span().map_or(0, |span| span.start);
            report.add(at, format!("this is not TOML: {message}"), "Correct the syntax");
            None
        }
    }
}

struct Reader<'a> {
    references: &'a References,
    report: &'a Report<'a>,
}

impl Reader<'_> {
    fn table<'t>(
        &self,
        items: impl Iterator<Item = (&'t str, &'t Item)>,
        key: impl Fn(&str) -> Option<&'t Key>,
    ) -> Table {
        items
            .filter_map(|(name, item)| {
                let key_at = key(name).and_then(Key::span).map(|span| span.start);
                let at = key_at.or_else(|| Some(item.span()?.start)).unwrap_or(0);
                Some((name.to_owned(), Entry { at, node: self.item(item, at)? }))
            })
            .collect()
    }

    fn item(&self, item: &Item, key_at: usize) -> Option<Node> {
        let kind = match item {
            Item::None => return None,
            Item::Value(value) => return Some(self.value(value, key_at)),
            Item::Table(table) => Kind::Table(self.table(table.iter(), |key| table.key(key))),
            Item::ArrayOfTables(tables) => Kind::List(
                tables
                    .iter()
                    .map(|table| Node {
                        at: table.span().map_or(key_at, |span| span.start),
                        kind: Kind::Table(self.table(table.iter(), |key| table.key(key))),
                        fetched: false,
                    })
                    .collect(),
            ),
        };
        Some(Node { at: key_at, kind, fetched: false })
    }

    fn value(&self, value: &Value, key_at: usize) -> Node {
        let at = value.span().map_or(key_at, |span| span.start);
        let kind = match value {
            Value::String(text) => return self.text(text.value(), at),
            Value::Integer(number) => Kind::Integer(*number.value()),
            Value::Float(number) => Kind::Float(*number.value()),
            Value::Boolean(truth) => Kind::Boolean(*truth.value()),
            Value::Datetime(time) => Kind::Time(time.value().to_string()),
            Value::Array(array) => Kind::List(self.list(array, at)),
            Value::InlineTable(table) => Kind::Table(self.inline(table)),
        };
        Node { at, kind, fetched: false }
    }

    fn list(&self, array: &Array, at: usize) -> Vec<Node> {
        array.iter().map(|value| self.value(value, at)).collect()
    }

    fn inline(&self, table: &InlineTable) -> Table {
        table
            .iter()
            .map(|(name, value)| {
                let key_at = table.key(name).and_then(Key::span).map(|span| span.start);
                let at = key_at.or_else(|| Some(value.span()?.start)).unwrap_or(0);
                (name.to_owned(), Entry { at, node: self.value(value, at) })
            })
            .collect()
    }

    fn text(&self, text: &str, at: usize) -> Node {
        match self.references.fetch(text) {
            None => Node { at, kind: Kind::Text(text.to_owned()), fetched: false },
            Some(Ok(fetched)) => Node { at, kind: Kind::Text(fetched), fetched: true },
            Some(Err((problem, cure))) => {
                self.report.add(at, problem, cure);
                // The text keeps its type, so that one missing secret is one problem.
                Node { at, kind: Kind::Text(String::new()), fetched: true }
            }
        }
    }
}
