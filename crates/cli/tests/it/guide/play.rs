//! Plays a page: its commands run in a folder of their own, in order.

use super::shell;
use super::spelling::Spelling;
use crate::bench::Bench;
use rusqlite::Connection;
use rusqlite::types::Value;

/// A page under way.
pub struct Play {
    bench: Bench,
    spelling: Spelling,
    /// The review that `avowal review list` showed last, as the page spells it.
    review: Option<String>,
}

impl Play {
    /// An empty folder.
    pub fn begin() -> Self {
        Self { bench: Bench::new(), spelling: Spelling::default(), review: None }
    }

    /// Saves a file as the page asks.
    pub fn write(&self, name: &str, text: &str) {
        self.bench.write(name, text);
    }

    /// A block of commands as it has to be: about the review that is open.
    pub fn about_the_open_review(&self, block: &str) -> String {
        self.review.as_deref().map_or_else(|| block.to_owned(), |review| Spelling::with_review(block, review))
    }

    /// Runs a block of commands; answers what they print, as the page spells it. A command that fails is a fault of
    /// the page.
    pub fn run(&mut self, block: &str) -> String {
        let commands = shell::commands(block);
        assert!(!commands.is_empty(), "a block of commands is empty");
        commands.iter().map(|words| self.command(words)).collect()
    }

    fn command(&mut self, words: &[String]) -> String {
        let words: Vec<String> = words.iter().map(|word| self.spelling.for_run(word)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["avowal", arguments @ ..] => {
                if matches!(
                    arguments,
                    ["sync" | "run", ..] | ["review", "resolve", ..] | ["quarantine", "replay", ..]
                ) {
                    self.spelling.tick();
                }
                let ended = self.bench.avowal(arguments);
                let waits = arguments == ["sync"] && ended.out.contains("avowal review list");
                let code = if waits { 4 } else { 0 };
                assert_eq!(ended.code, code, "{words:?}: {}{}", ended.out, ended.err);
                let page = self.spelling.on_page(&ended.out);
                if let (["review", "list"], Some((review, _))) = (arguments, page.split_once(':')) {
                    self.review = Some(review.to_owned());
                }
                page
            }
            ["sqlite3", file, sql] => sqlite(&Connection::open(self.bench.path(file)).unwrap(), sql),
            _ => panic!("the guide's test does not know the command {words:?}"),
        }
    }
}

/// What the `sqlite3` command prints: a line for each row, with bars between the values.
fn sqlite(connection: &Connection, sql: &str) -> String {
    let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    let mut out = String::new();
    while let Some(row) = rows.next().unwrap_or_else(|error| panic!("{sql}: {error}")) {
        let values: Vec<String> = (0..columns).map(|at| shown(row.get(at).unwrap())).collect();
        out += &format!("{}\n", values.join("|"));
    }
    out
}

fn shown(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text,
        Value::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}
