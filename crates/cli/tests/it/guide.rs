//! The documents against the product: the tutorial is played, its pictures are drawn from what it prints, and every
//! link is followed. `UPDATE_DOCS=1` writes the outputs and the pictures anew.

mod code_map;
mod links;
mod messages;
mod page;
mod picture;
mod play;
mod shell;
mod spelling;

use crate::bench::Bench;
use page::{Block, Page};
use play::Play;
use std::path::{Path, PathBuf};

/// The page that is played from its beginning to its end.
const TUTORIAL: &str = "docs/guide/src/tutorial.md";
/// Pages that repeat commands of the tutorial, and show what they print there.
const QUOTING: [&str; 1] = ["README.md"];
/// The command whose output is drawn as the picture of a timeline.
const DRAWN: &str = "avowal timeline customer app:1 --last 8\n";
/// The picture.
const PICTURE: &str = "docs/timeline.svg";

/// The folder of the whole project.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn is_updating() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1")
}

/// Compares a document with what it should be, or writes it.
fn compare_or_write(name: &str, expected: &str) {
    let path = root().join(name);
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    if found == expected {
        return;
    }
    if is_updating() {
        std::fs::write(&path, expected).unwrap();
        return;
    }
    let line = found.lines().zip(expected.lines()).take_while(|(found, expected)| found == expected).count();
    panic!(
        "{name}, line {}, says\n  {}\nbut the product says\n  {}\n\
         `UPDATE_DOCS=1 cargo nextest run -p avowal guide` writes it anew; read the difference then",
        line + 1,
        found.lines().nth(line).unwrap_or("(nothing)"),
        expected.lines().nth(line).unwrap_or("(nothing)")
    );
}

#[test]
fn the_tutorial_prints_what_its_page_says() {
    let mut tutorial = Page::read(&root().join(TUTORIAL));
    let mut play = Play::begin();
    let mut commands = 0;
    for at in 0..tutorial.blocks.len() {
        match &tutorial.blocks[at] {
            Block::File { name, text } => play.write(name, text),
            Block::Commands { text } => {
                let text = play.about_the_open_review(text);
                let output = play.run(&text);
                commands += 1;
                tutorial.blocks[at] = Block::Commands { text };
                tutorial.set_output_after(at, &output);
            }
            Block::Output { .. } | Block::Other { .. } | Block::Prose { .. } => {}
        }
    }
    assert!(commands >= 10, "only {commands} blocks of commands were found: the page is not understood");
    compare_or_write(TUTORIAL, &tutorial.text());
    for name in QUOTING {
        compare_or_write(name, &quoted(name, &tutorial));
    }
    let drawn = tutorial.output_of(DRAWN).unwrap_or_else(|| panic!("the tutorial does not run {DRAWN}"));
    compare_or_write(PICTURE, &picture::draw(DRAWN, &drawn));
}

#[test]
fn the_first_configuration_of_the_readme_is_accepted() {
    let readme = Page::read(&root().join("README.md"));
    let is_toml = |block: &&Block| matches!(block, Block::Other { info, .. } if info == "toml");
    let Some(Block::Other { text, .. }) = readme.blocks.iter().find(is_toml) else { panic!("there is none") };
    let url = ("BILLING_URL", "postgres://billing@localhost/billing");
    let ended = Bench::with(text).avowal_with(&["check", "--offline"], &[url]);
    assert_eq!(ended.code, 0, "{}", ended.err);
}

/// The page with the outputs that the tutorial shows for the same commands.
fn quoted(name: &str, tutorial: &Page) -> String {
    let mut page = Page::read(&root().join(name));
    let mut quotes = 0;
    for at in 0..page.blocks.len() {
        let Block::Commands { text } = &page.blocks[at] else { continue };
        if !page.has_output_after(at) {
            continue;
        }
        let output = tutorial.output_of(text);
        let output =
            output.unwrap_or_else(|| panic!("{name} quotes {text}, which the tutorial does not run"));
        page.set_output_after(at, &output);
        quotes += 1;
    }
    assert!(quotes > 0, "{name} quotes nothing of the tutorial");
    page.text()
}

#[test]
fn every_link_of_every_document_leads_somewhere() {
    if is_updating() {
        // Other tests are writing the documents at this moment.
        return;
    }
    let found = links::look(&root());
    assert!(found.links > 100, "only {} links were found: the documents are not understood", found.links);
    assert!(
        found.dead.is_empty(),
        "{} of {} links are dead:\n{}",
        found.dead.len(),
        found.links,
        found.dead.join("\n")
    );
}

#[test]
fn every_page_of_the_guide_is_in_its_summary() {
    let missing = links::pages_outside_the_summary(&root());
    assert!(missing.is_empty(), "docs/guide/src/SUMMARY.md does not name {}", missing.join(", "));
}

#[test]
fn the_messages_that_are_explained_are_in_the_code() {
    let name = "docs/guide/src/troubleshooting.md";
    let page = std::fs::read_to_string(root().join(name)).unwrap();
    let unknown = messages::unknown(&root(), &page);
    assert!(
        unknown.is_empty(),
        "{name} explains messages that are not in the code any more:\n{}",
        unknown.join("\n")
    );
}

#[test]
fn the_code_map_has_a_line_for_every_source_file() {
    let (page, silent) = code_map::draw(&root());
    assert!(
        silent.is_empty(),
        "these files do not begin with a `//!` that says what they are: {}",
        silent.join(", ")
    );
    compare_or_write("docs/code-map.md", &page);
}
