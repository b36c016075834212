//! Writes the code map: a line for each source file, from the first sentence of the file itself.

use std::path::{Path, PathBuf};

/// The crates in the order in which data goes through them; others come after these.
const ORDER: [&str; 11] = [
    "core",
    "engine",
    "stores",
    "connectors",
    "view",
    "server",
    "cli",
    "fakes",
    "forecast",
    "sim",
    "testkit",
];

/// What stands above the list.
const HEAD: &str = "# Code map

A line for each source file: the first sentence of the file's own documentation. A test writes this page
(`UPDATE_DOCS=1 cargo nextest run -p avowal guide`), so it is complete. Which crate may know which other one is said in
[ARCHITECTURE.md](../ARCHITECTURE.md).
";

/// The page, and the files that do not say what they are.
pub fn draw(root: &Path) -> (String, Vec<String>) {
    let mut page = HEAD.to_owned();
    let mut silent = Vec::new();
    for (name, folder) in crates(root) {
        page += &format!("\n## {name}\n\n| file | what it is |\n|---|---|\n");
        for file in sources(&folder) {
            let shown = file.strip_prefix(&folder).unwrap().display().to_string();
            match first_sentence(&std::fs::read_to_string(&file).unwrap()) {
                Some(sentence) => page += &format!("| `{shown}` | {} |\n", sentence.replace('|', "\\|")),
                None => silent.push(format!("crates/{name}/src/{shown}")),
            }
        }
    }
    (page, silent)
}

fn crates(root: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(root.join("crates")).unwrap();
    let mut found: Vec<(String, PathBuf)> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path().join("src")))
        .filter(|(_, source)| source.is_dir())
        .collect();
    let place = |name: &str| ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len());
    found.sort_by(|(a, _), (b, _)| (place(a), a).cmp(&(place(b), b)));
    found
}

/// The Rust files below a folder: first the one that opens it, then its files, then its folders.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (mut folders, mut files): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|path| path.is_dir());
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let opens = |path: &PathBuf| !["lib.rs", "main.rs", "mod.rs"].iter().any(|name| path.ends_with(name));
    files.sort_by_key(|path| (opens(path), path.clone()));
    folders.sort();
    files.extend(folders.iter().flat_map(|folder| sources(folder)));
    files
}

/// The first sentence of a file's documentation, on one line.
fn first_sentence(source: &str) -> Option<String> {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let paragraph: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    let text = paragraph.join(" ");
    let end = text.find(". ").map_or(text.len(), |at| at + 1);
    (!text.is_empty()).then(|| without_links(&text[..end]))
}

/// The links of rustdoc lead to items, which a page cannot: only their words stay.
fn without_links(text: &str) -> String {
    let mut parts = text.split("](");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once(')').map_or(part, |(_, rest)| rest));
    }
    out.replace("[`", "`").replace("`]", "`")
}

#[test]
fn the_first_sentence_of_a_file_is_found() {
    let source = "//! Reads [`a`](crate::a) of\n//! the [`Feed`]. Never writes.\n//!\n//! More.\nuse x;\n";
    assert_eq!(first_sentence(source).as_deref(), Some("Reads `a` of the `Feed`."));
    assert_eq!(first_sentence("use x;\n"), None);
}
