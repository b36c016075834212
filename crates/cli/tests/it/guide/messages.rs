//! Looks in the code for the messages that the guide explains.

use std::path::Path;

/// Pieces shorter than this are in the code by chance.
const PIECE_CHARS_MIN: usize = 6;

/// The messages of a page (the code in the first column of its tables) whose words are not in the code.
pub fn unknown(root: &Path, page: &str) -> Vec<String> {
    let mut source = String::new();
    gather(&root.join("crates"), &mut source);
    let messages: Vec<&str> = messages(page);
    assert!(messages.len() > 40, "only {} messages were found: the page is not understood", messages.len());
    let is_unknown = |message: &&str| {
        let pieces =
            message.split('…').map(str::trim).filter(|piece| piece.chars().count() >= PIECE_CHARS_MIN);
        pieces.into_iter().any(|piece| !source.contains(piece))
    };
    messages.into_iter().filter(is_unknown).map(str::to_owned).collect()
}

fn messages(page: &str) -> Vec<&str> {
    let first_columns = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    first_columns.flat_map(|column| column.split('`').skip(1).step_by(2)).collect()
}

/// All code of the product as one text, with the strings that go over several lines put together.
fn gather(folder: &Path, source: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            gather(&path, source);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let mut is_continued = false;
            for line in text.lines() {
                let line = if is_continued { line.trim_start() } else { line };
                is_continued = line.ends_with('\\');
                source.push_str(line.strip_suffix('\\').unwrap_or(line));
                if !is_continued {
                    source.push('\n');
                }
            }
        }
    }
}
