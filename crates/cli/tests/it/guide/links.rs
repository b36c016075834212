//! Follows the links of all documents.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// Folders that hold no documents of ours.
const SKIPPED: [&str; 4] = ["target", "node_modules", ".git", "book"];

/// What following all links found.
pub struct Found {
    /// How many links were followed.
    pub links: usize,
    /// Those that lead nowhere, as `FILE: LINK: why`.
    pub dead: Vec<String>,
}

/// Follows every relative link of every Markdown file below `root`. Pages of the guide may not link to files outside
/// of it, because the book holds only its own.
pub fn look(root: &Path) -> Found {
    let mut found = Found { links: 0, dead: Vec::new() };
    let mut anchors = BTreeMap::new();
    for file in documents(root) {
        let text = expanded(&file);
        let shown = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        for path in named_paths(&text) {
            found.links += 1;
            if !root.join(&path).exists() {
                found.dead.push(format!("{shown}: it names `{path}`, and there is no such file"));
            }
        }
        for link in links(&text) {
            found.links += 1;
            if let Err(why) = follow(root, &file, &link, &mut anchors) {
                found.dead.push(format!("{shown}: {link}: {why}"));
            }
        }
    }
    found
}

/// The pages of the guide that its summary does not name.
pub fn pages_outside_the_summary(root: &Path) -> Vec<String> {
    let source = root.join("docs/guide/src");
    let summary = std::fs::read_to_string(source.join("SUMMARY.md")).unwrap();
    let named: BTreeSet<PathBuf> = links(&summary).iter().map(|link| plain(&source.join(link))).collect();
    let pages = documents(&source).into_iter().map(|page| plain(&page));
    let missing = pages.filter(|page| !page.ends_with("SUMMARY.md") && !named.contains(page));
    missing.map(|page| page.display().to_string()).collect()
}

/// All Markdown files below a folder. Symbolic links are not followed: what they lead to is found in its own place.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let (kind, path) = (entry.file_type().unwrap(), entry.path());
            let name = entry.file_name();
            if kind.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped) {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A page with the files that it includes. A file that cannot be included stands there as a dead link.
fn expanded(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let include = |line: &str| {
        let name = line.trim().strip_prefix("{{#include ")?.strip_suffix("}}")?;
        let path = file.parent()?.join(name.trim());
        let dead = |_| format!("[include]({})", name.trim());
        Some(std::fs::read_to_string(path).unwrap_or_else(dead))
    };
    text.lines().map(|line| include(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

/// The targets of the links and pictures of a page; what stands in code is no link.
fn links(text: &str) -> Vec<String> {
    let prose = without_code(text);
    let mut found = Vec::new();
    let mut rest = prose.as_str();
    while let Some(at) = rest.find("](") {
        rest = &rest[at + 2..];
        let Some(end) = rest.find(')') else { break };
        let target = rest[..end].split(' ').next().unwrap_or_default();
        if !target.contains("://") && !target.starts_with("mailto:") && !target.is_empty() {
            found.push(target.to_owned());
        }
        rest = &rest[end..];
    }
    found
}

/// The paths into the crates that a page names as code.
fn named_paths(text: &str) -> Vec<String> {
    let is_path = |char: char| char.is_ascii_alphanumeric() || "/._-".contains(char);
    let codes = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    codes.filter(|code| code.starts_with("crates/") && code.chars().all(is_path)).map(str::to_owned).collect()
}

fn without_code(text: &str) -> String {
    let mut out = String::new();
    let mut is_fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        } else if !is_fenced && !line.starts_with("    ") {
            // Pieces between pairs of backquotes are code.
            out.extend(line.split('`').step_by(2));
        }
        out.push('\n');
    }
    out
}

fn follow(
    root: &Path,
    file: &Path,
    link: &str,
    anchors: &mut BTreeMap<PathBuf, BTreeSet<String>>,
) -> Result<(), String> {
    let (place, anchor) = link.split_once('#').map_or((link, None), |(place, anchor)| (place, Some(anchor)));
    let target = if place.is_empty() { file.to_owned() } else { file.parent().unwrap().join(place) };
    if !target.exists() {
        return Err("there is no such file".to_owned());
    }
    let guide = plain(&root.join("docs/guide/src"));
    if plain(file).starts_with(&guide) && !plain(&target).starts_with(&guide) {
        return Err("it leads out of the book; name the file as code instead".to_owned());
    }
    let Some(anchor) = anchor else { return Ok(()) };
    let known = anchors.entry(plain(&target)).or_insert_with(|| headings(&expanded(&target)));
    if known.contains(anchor) { Ok(()) } else { Err(format!("no heading there has the anchor #{anchor}")) }
}

/// The path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => out.push(part),
        }
    }
    out
}

/// The anchors of a page: those that it writes itself, and those of its headings, as GitHub and mdBook make them. The second
/// of two equal headings ends with `-1`.
fn headings(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut is_fenced = false;
    for line in text.lines() {
        is_fenced ^= line.trim_start().starts_with("```");
        if let Some(own) = line.strip_prefix("<a id=\"").and_then(|rest| rest.split('"').next()) {
            found.insert(own.to_owned());
        }
        let Some(title) = line.strip_prefix('#').filter(|_| !is_fenced) else { continue };
        let kept = |char: char| match char {
            ' ' | '-' => Some('-'),
            '_' => Some('_'),
            other => other.is_alphanumeric().then(|| other.to_lowercase().next().unwrap_or(other)),
        };
        let anchor: String = title.trim_start_matches('#').trim().chars().filter_map(kept).collect();
        let names = std::iter::once(anchor.clone()).chain((1..).map(|n| format!("{anchor}-{n}")));
        for name in names {
            if found.insert(name) {
                break;
            }
        }
    }
    found
}

#[test]
fn links_and_headings_are_found_and_code_is_not() {
    let text = "# One `two`, three\n[a](b.md#c) `[no](x.md)` ![p](q.svg \"t\")\n```sh\n# no\n[no](y.md)\n```\n[w](https://x)\n# One two, three\n";
    assert_eq!(links(text), ["b.md#c", "q.svg"]);
    assert_eq!(headings(text), ["one-two-three", "one-two-three-1"].map(str::to_owned).into());
}
