//! The reference of the configuration, made from its schema: a table of keys for each table that may be written.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The whole page.
pub fn page(schema: &Value) -> String {
    let mut page = Page { schema, out: HEAD.to_owned(), shown: BTreeSet::new() };
    for section in ["store", "systems", "entities", "settings", "guards", "listen"] {
        page.section(section);
    }
    page.out
}

const HEAD: &str = "\
# Configuration reference

<!-- Made by a test from the structs that are decoded; see `avowal schema`. Write it anew with UPDATE_DOCS=1. -->

One TOML file, `avowal.toml` by default; `-c FILE` names another. Any text may be `env:NAME` (an environment variable) or
`file:PATH` (the contents of a file, relative to the configuration's folder), so that no secret has to stand in it. A key
in capitals, such as `NAME`, is a name of your choice. `avowal schema` prints the same as JSON Schema, for editors.
";

struct Page<'s> {
    schema: &'s Value,
    out: String,
    /// The anchors of the tables that have been shown.
    shown: BTreeSet<String>,
}

/// A table that is shown later on the page.
struct Inner<'s> {
    path: String,
    name: Option<String>,
    schema: &'s Value,
}

impl<'s> Page<'s> {
    fn section(&mut self, name: &str) {
        let section = &self.schema["properties"][name];
        let _ = write!(self.out, "\n## `[{name}]`\n");
        if let Some(by_name) = section.get("additionalProperties") {
            let _ = write!(self.out, "\n{}\n", text(section));
            return self.tables(&format!("{name}.NAME"), by_name);
        }
        let (_, table) = self.resolve(section);
        self.keys(name, table);
    }

    /// The tables that may stand at a path: one, or one of several.
    fn tables(&mut self, path: &str, schema: &'s Value) {
        let alternatives = match schema["oneOf"].as_array() {
            Some(alternatives) => alternatives.iter().collect(),
            None => vec![schema],
        };
        for alternative in alternatives {
            let (name, schema) = self.resolve(alternative);
            self.table(Inner { path: path.to_owned(), name, schema });
        }
    }

    /// A table with its heading; only once, wherever it may be written.
    fn table(&mut self, inner: Inner<'s>) {
        let anchor = anchor(&inner);
        if !self.shown.insert(anchor.clone()) {
            return;
        }
        let title = inner.schema["properties"]["connector"]["const"].as_str();
        let of = title.map(|connector| format!(" with `connector = {connector:?}`")).unwrap_or_default();
        let _ = write!(self.out, "\n<a id=\"{anchor}\"></a>\n\n### `[{}]`{of}\n", inner.path);
        self.keys(&inner.path, inner.schema);
    }

    /// The description of a table, its keys, and then the tables in it.
    fn keys(&mut self, path: &str, table: &'s Value) {
        let _ = write!(self.out, "\n{}\n", text(table));
        let mut inner = Vec::new();
        let alternatives =
            table["oneOf"].as_array().filter(|all| all.iter().any(|one| one.get("properties").is_some()));
        if let Some(alternatives) = alternatives {
            let _ = write!(self.out, "\nOne of these:\n");
            for alternative in alternatives {
                let _ = write!(self.out, "\n- {}", text(alternative));
                if let Some(example) = alternative["examples"].get(0) {
                    let _ = write!(self.out, " Example: `{}`", toml(example));
                }
                self.out.push('\n');
            }
            self.out.push_str("\n| key | type | default | meaning | example |\n|---|---|---|---|---|\n");
            for alternative in alternatives {
                self.rows(path, alternative, &mut inner);
            }
        } else if table["properties"].as_object().is_some_and(|keys| !keys.is_empty()) {
            self.out.push_str("\n| key | type | default | meaning | example |\n|---|---|---|---|---|\n");
            self.rows(path, table, &mut inner);
        }
        for one in inner {
            self.table(one);
        }
    }

    fn rows(&mut self, path: &str, table: &'s Value, inner: &mut Vec<Inner<'s>>) {
        let required: Vec<&str> =
            table["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (key, schema) in table["properties"].as_object().into_iter().flatten() {
            let kind = self.kind(&format!("{path}.{key}"), schema, inner);
            let default = match &schema["default"] {
                _ if required.contains(&key.as_str()) => "required".to_owned(),
                Value::Null => String::new(),
                Value::Array(items) if items.is_empty() => "none".to_owned(),
                Value::Object(object) if object.is_empty() => "none".to_owned(),
                value => code(&toml(value)),
            };
            let example =
                schema["examples"].get(0).map(|example| code(&format!("{key} = {}", toml(example))));
            let _ = writeln!(
                self.out,
                "| `{key}` | {kind} | {default} | {} | {} |",
                cell(&(text(schema) + &self.words(schema))),
                example.unwrap_or_default()
            );
        }
    }

    /// What a value may be, in words; tables are noted to be shown.
    fn kind(&self, path: &str, schema: &'s Value, inner: &mut Vec<Inner<'s>>) -> String {
        if let Some(word) = schema["const"].as_str() {
            return code(&format!("{word:?}"));
        }
        let (name, resolved) = self.resolve(schema);
        if let Some(words) = words_of(resolved) {
            return words.iter().map(|(word, _)| code(&format!("{word:?}"))).collect::<Vec<_>>().join(", ");
        }
        if is_table(resolved) {
            let table = Inner { path: path.to_owned(), name, schema: resolved };
            let link = format!("[table](#{})", anchor(&table));
            inner.push(table);
            return link;
        }
        if let Some(alternatives) = resolved["anyOf"].as_array() {
            let kinds: Vec<String> = alternatives.iter().map(|one| self.kind(path, one, inner)).collect();
            return kinds.join(" or ");
        }
        match resolved["type"].as_str() {
            Some("string") => "text".to_owned(),
            Some("boolean") => "`true` or `false`".to_owned(),
            Some("integer") => format!("whole number{}", range(resolved)),
            Some("number") => format!("number{}", range(resolved)),
            Some("array") => format!("list of: {}", self.kind(path, &resolved["items"], inner)),
            Some("object") => {
                let placeholder = match path.rsplit('.').next() {
                    Some("systems") => "SYSTEM",
                    Some("fields") => "FIELD",
                    Some(_) | None => "NAME",
                };
                let path = format!("{path}.{placeholder}");
                format!("table by name: {}", self.kind(&path, &resolved["additionalProperties"], inner))
            }
            Some(_) | None => "any value".to_owned(),
        }
    }

    /// The meaning of each word that may be written, where the schema tells.
    fn words(&self, schema: &Value) -> String {
        let described = words_of(self.resolve(schema).1).unwrap_or_default().into_iter();
        let meanings = described.filter_map(|(word, meaning)| Some(format!(" `{word}`: {}", meaning?)));
        meanings.collect()
    }

    /// What a reference leads to, with its name.
    fn resolve<'v>(&self, schema: &'v Value) -> (Option<String>, &'v Value)
    where
        's: 'v,
    {
        match schema["$ref"].as_str() {
            Some(place) => {
                let name = place.trim_start_matches("#/$defs/");
                (Some(name.to_owned()), &self.schema["$defs"][name])
            }
            None => (None, schema),
        }
    }
}

/// Whether it is a table with keys that are known.
fn is_table(schema: &Value) -> bool {
    let has_keys = |schema: &Value| schema["properties"].as_object().is_some_and(|keys| !keys.is_empty());
    has_keys(schema) || schema["oneOf"].as_array().is_some_and(|all| all.iter().any(has_keys))
}

/// The words that may be written, with their meanings where the schema tells.
fn words_of(schema: &Value) -> Option<Vec<(String, Option<String>)>> {
    let word = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|value| Some((word(value)?, None))).collect();
    }
    let alternatives = schema["oneOf"].as_array()?;
    alternatives.iter().map(|one| Some((word(&one["const"])?, Some(text(one))))).collect()
}

fn range(schema: &Value) -> String {
    // Every unsigned number begins at 0; that is not worth a word.
    let least = schema["minimum"].as_f64().filter(|least| *least > 0.0);
    match (least, schema["maximum"].as_f64()) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) => format!(", at least {least}"),
        (None, Some(most)) if most < f64::from(u32::MAX) => format!(", 0 to {most}"),
        (None, Some(_) | None) => String::new(),
    }
}

/// The anchor of a table: the name of what it is, or the path of what has no name.
fn anchor(table: &Inner<'_>) -> String {
    table.name.clone().unwrap_or_else(|| table.path.replace('.', "-")).to_lowercase()
}

/// A description on one line.
fn text(schema: &Value) -> String {
    let description = schema["description"].as_str().unwrap_or_default();
    description.split("\n\n").map(|part| part.replace('\n', " ")).collect::<Vec<_>>().join("\n\n")
}

/// What may stand in a cell.
fn cell(text: &str) -> String {
    text.replace("\n\n", "<br>").replace('|', "\\|")
}

fn code(text: &str) -> String {
    format!("`{}`", cell(text))
}

/// A value as TOML, on one line.
fn toml(value: &Value) -> String {
    toml::Value::try_from(value).unwrap().to_string()
}
