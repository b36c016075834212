//! Mistakes that are edits of product code, each a file in `crates/sim/mistakes`.
//!
//! A file says what the mistake is, which snippet of a crate has to occur exactly once, and what stands in its place.
//! Unlike a diff, it survives that code moves to another line or file or is wrapped anew; and where its snippet is
//! gone, or has become ambiguous, a test says so. A snippet is an expression; where its surroundings are needed to
//! make it unique, the expression stands between `«` and `»`.
//!
//! All edits go into one copy, each as `if planted { mistake } else { expression }`, so that one build is enough for
//! all of them. Which one is made is told to the copy's binary by [`VARIABLE`].

use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The environment variable that names the mistake which the copy's binary shall make.
pub const VARIABLE: &str = "AVOWAL_MISTAKE";

/// A mistake as it is written in its file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditedMistake {
    /// The name: the file's, without its ending.
    #[serde(skip)]
    pub name: String,
    /// What mistake a sync engine might make.
    pub what: String,
    /// The places that have to change for it.
    #[serde(rename = "edit")]
    pub edits: Vec<Edit>,
}

/// One place.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The folder of the crate under `crates`.
    #[serde(rename = "crate")]
    pub in_crate: String,
    /// The snippet, which has to occur exactly once in the crate's `src`, whatever its white space.
    pub find: String,
    /// The expression that makes the mistake.
    pub replace: String,
}

/// All mistakes that are edits, by name.
///
/// # Errors
/// A file that cannot be read or is not of the form of [`EditedMistake`].
pub fn all(root: &Path) -> Result<Vec<EditedMistake>, String> {
    let folder = root.join("crates/sim/mistakes");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut mistakes = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            mistakes.push(read(&path).map_err(|error| format!("{}: {error}", path.display()))?);
        }
    }
    mistakes.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(mistakes)
}

fn read(path: &Path) -> Result<EditedMistake, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let mut mistake: EditedMistake = toml::from_str(&text).map_err(|error| error.to_string())?;
    mistake.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(mistake)
}

/// The files that the mistakes change, with their new contents, by path below `root`.
///
/// # Errors
/// The snippets that do not occur exactly once, or overlap, one a line.
pub fn applied(root: &Path, mistakes: &[EditedMistake]) -> Result<BTreeMap<PathBuf, String>, String> {
    let mut places: BTreeMap<PathBuf, Vec<(Range<usize>, String)>> = BTreeMap::new();
    let mut sources: BTreeMap<String, BTreeMap<PathBuf, String>> = BTreeMap::new();
    let mut problems = Vec::new();
    for mistake in mistakes {
        for edit in &mistake.edits {
            if !sources.contains_key(&edit.in_crate) {
                let folder = Path::new("crates").join(&edit.in_crate).join("src");
                sources.insert(edit.in_crate.clone(), super::copy::sources(root, &folder)?);
            }
            match locate(&sources[&edit.in_crate], &edit.find) {
                Ok((path, range)) => {
                    let original = &sources[&edit.in_crate][&path][range.clone()];
                    let switch = if edit.in_crate == "core" { "crate" } else { "avowal_core" };
                    let (name, mistaken) = (&mistake.name, &edit.replace);
                    let either = format!(
                        "(if {switch}::planted::is(\"{name}\") {{ {mistaken} }} else {{ {original} }})"
                    );
                    places.entry(path).or_default().push((range, either));
                }
                Err(problem) => problems.push(format!("{}: {problem}", mistake.name)),
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    let text =
        |path: &PathBuf| sources.values().find_map(|files| files.get(path)).cloned().unwrap_or_default();
    let mut changed = BTreeMap::new();
    for (path, mut places) in places {
        places.sort_by_key(|(range, _)| range.start);
        if places.windows(2).any(|pair| pair[0].0.end > pair[1].0.start) {
            return Err(format!("{}: two mistakes change the same expression", path.display()));
        }
        let mut text = text(&path);
        places.into_iter().rev().for_each(|(range, either)| text.replace_range(range, &either));
        changed.insert(path, text);
    }
    Ok(changed)
}

/// The switch that the copy of core gets: a module `planted` at the end of its `lib.rs`.
pub fn switch() -> String {
    format!(
        r#"
/// Which mistake is made.
pub mod planted {{
    static CHOSEN: std::sync::OnceLock<String> = std::sync::OnceLock::new();

    /// Whether it is this one.
    #[allow(clippy::disallowed_methods)]
    pub fn is(name: &str) -> bool {{
        CHOSEN.get_or_init(|| std::env::var("{VARIABLE}").unwrap_or_default()) == name
    }}
}}
"#
    )
}

/// Where the expression of a snippet stands: in which file, and from where to where.
fn locate(files: &BTreeMap<PathBuf, String>, find: &str) -> Result<(PathBuf, Range<usize>), String> {
    let (before, expression, after) = match find.split_once('«') {
        Some((before, rest)) => {
            let (expression, after) = rest.split_once('»').ok_or("a `«` without its `»`")?;
            (before, expression, after)
        }
        None => ("", find, ""),
    };
    let [before, expression, after] = [before, expression, after].map(|text| compact(text).0);
    let wanted = format!("{before}{expression}{after}");
    if expression.is_empty() {
        return Err("the snippet has no expression".to_owned());
    }
    let mut found = Vec::new();
    for (path, text) in files {
        let (text, places) = compact(text);
        for (at, _) in text.match_indices(&wanted) {
            let first = at + before.len();
            found.push((path.clone(), places[first]..places[first + expression.len() - 1] + 1));
        }
    }
    match found.pop() {
        Some(place) if found.is_empty() => Ok(place),
        Some(_) => Err(format!("`{find}` occurs {} times", found.len() + 1)),
        None => Err(format!("`{find}` does not occur any more")),
    }
}

/// The text without white space, and where each of its bytes stood.
fn compact(text: &str) -> (String, Vec<usize>) {
    let kept = text.char_indices().filter(|(_, letter)| !letter.is_whitespace());
    let mut out = String::with_capacity(text.len());
    let mut places = Vec::with_capacity(text.len());
    for (at, letter) in kept {
        out.push(letter);
        places.extend(at..at + letter.len_utf8());
    }
    (out, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(text: &str) -> BTreeMap<PathBuf, String> {
        BTreeMap::from([(PathBuf::from("a.rs"), text.to_owned())])
    }

    #[test]
    fn snippet_is_found_whatever_its_white_space() {
        let text = "if is_known(\n    a,\n    b,\n) && done {";
        let (_, range) = locate(&files(text), "if «is_known(a, b,)» && done {").unwrap();
        assert_eq!(&text[range], "is_known(\n    a,\n    b,\n)");
    }

    #[test]
    fn snippet_that_occurs_twice_or_never_is_a_problem() {
        assert_eq!(locate(&files("a b; a  b"), "a b"), Err("`a b` occurs 2 times".to_owned()));
        assert_eq!(locate(&files("a b"), "b a"), Err("`b a` does not occur any more".to_owned()));
    }
}
