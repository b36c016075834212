//! Source files as text, and the functions in them. rustfmt has been over them, so that indentation tells structure.

use std::path::{Path, PathBuf};

/// The crates that ship. What tests and measures them may know more.
const PRODUCT: [&str; 8] = ["core", "engine", "stores", "connectors", "server", "fakes", "forecast", "cli"];

/// One file.
pub(super) struct Source {
    /// From the root of the repository, as in `crates/core/src/lib.rs`.
    pub(super) path: String,
    text: String,
}

/// One function.
pub(super) struct Function {
    pub(super) name: String,
    /// The line on which it begins, from 1.
    pub(super) at: usize,
    pub(super) lines: usize,
    /// Whether its body is nothing but one `match`.
    pub(super) is_one_match: bool,
}

/// The root of the repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// All files of the workspace, in order.
pub(super) fn sources() -> Vec<Source> {
    let mut out = Vec::new();
    gather(&repository(), &repository().join("crates"), &mut out);
    out.sort_by(|a: &Source, b| a.path.cmp(&b.path));
    assert!(out.len() > 100, "the sources have not been found");
    out
}

/// The files that ship, in order.
pub(super) fn product_sources() -> Vec<Source> {
    let ships = |source: &Source| {
        let mut parts = source.path.split('/').skip(1);
        let name = parts.next().unwrap_or_default();
        PRODUCT.contains(&name) && parts.next() == Some("src")
    };
    sources().into_iter().filter(ships).collect()
}

fn gather(root: &Path, folder: &Path, out: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            gather(root, &path, out);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            out.push(Source { path: path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), text });
        }
    }
}

impl Source {
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }

    /// The functions with a body over several lines, in order.
    pub(super) fn functions(&self) -> Vec<Function> {
        let lines: Vec<&str> = self.lines().collect();
        let mut out = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let Some(name) = function_name(line) else { continue };
            let closes = |line: &&str| **line == format!("{}}}", " ".repeat(indent));
            // A declaration without a body ends with a semicolon before anything closes at its depth.
            let rest = &lines[at..];
            let Some(length) = rest.iter().position(closes) else { continue };
            if rest[..length]
                .iter()
                .any(|line| line.ends_with(';') && line.len() - line.trim_start().len() == indent)
            {
                continue;
            }
            let opens = rest.iter().position(|line| line.ends_with('{')).unwrap_or(0);
            out.push(Function {
                name,
                at: at + 1,
                lines: length + 1,
                is_one_match: is_one_match(&rest[opens + 1..length.max(opens + 1)], indent + 4),
            });
        }
        out
    }
}

fn function_name(line: &str) -> Option<String> {
    let line = line.trim_start();
    let before = line.find("fn ")?;
    let words = ["pub", "async", "const", "unsafe", "extern"];
    let modifiers = line[..before].replace("(crate)", "").replace("(super)", "");
    if line.starts_with("//") || modifiers.split_whitespace().any(|word| !words.contains(&word)) {
        return None;
    }
    Some(line[before + 3..].split(['(', '<']).next()?.trim().to_owned())
}

/// Whether these lines hold one statement at this depth, and that is a `match`.
fn is_one_match(body: &[&str], indent: usize) -> bool {
    let at_depth =
        |line: &&&str| line.len() - line.trim_start().len() == indent && !line.trim_start().starts_with("//");
    let mut statements = body.iter().filter(|line| !line.trim().is_empty()).filter(at_depth);
    let first = statements.next().is_some_and(|line| line.contains("match ") && line.ends_with('{'));
    first
        && statements.next().is_some_and(|line| line.trim_start().starts_with('}'))
        && statements.next().is_none()
}
