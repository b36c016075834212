//! Gives times and ids, which are different in every run, the spelling that they have on the page.

use std::time::{SystemTime, UNIX_EPOCH};

/// The length of a record id.
const ID_CHARS: usize = 26;
/// The ids on the page are this and two digits.
const ID_STEM: &str = "01jzy3m4qkte2v5x7n8r9w0a";
/// The day on the page.
const DAY: &str = "2026-05-04";

/// What this run's ids and times are on the page.
#[derive(Default)]
pub struct Spelling {
    /// The ids of this run in order of appearance.
    ids: Vec<String>,
    /// When each command that changes something began, in seconds since 1970.
    ticks: Vec<u64>,
}

impl Spelling {
    /// A command begins: what happens from now on has the next minute on the page. Waits for the next full second, so
    /// that a time which is shown in seconds belongs to one command only.
    pub fn tick(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let rest = 1_000 - u64::from(now.subsec_millis()) + 20;
        std::thread::sleep(std::time::Duration::from_millis(rest));
        self.ticks.push(now.as_secs() + 1);
    }

    /// A command of the page with the ids of this run.
    pub fn for_run(&self, word: &str) -> String {
        let ids = self.ids.iter().enumerate();
        ids.fold(word.to_owned(), |word, (at, id)| word.replace(&id_on_page(at), id))
    }

    /// The text with every review's id on the page replaced by this one: its number counts events, which may change.
    pub fn with_review(text: &str, review: &str) -> String {
        let mut parts = text.split(ID_STEM);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = part.split_at(digits(part));
            match rest.strip_prefix('-').filter(|tail| digits(tail) > 0) {
                Some(tail) => out += &format!("{review}{}", &tail[digits(tail)..]),
                None => out += &format!("{ID_STEM}{number}{rest}"),
            }
        }
        out
    }

    /// An output of this run as the page shows it.
    pub fn on_page(&mut self, output: &str) -> String {
        let mut out = String::with_capacity(output.len());
        let mut rest = output;
        while let Some(first) = rest.chars().next() {
            let is_inside = out.chars().next_back().is_some_and(|before| before.is_ascii_alphanumeric());
            let (taken, spelled) = match (is_inside, self.known(rest)) {
                (false, Some(known)) => known,
                (true, _) | (false, None) => (first.len_utf8(), first.to_string()),
            };
            out.push_str(&spelled);
            rest = &rest[taken..];
        }
        out
    }

    /// How many bytes an id or a time at the beginning of the text takes, and how the page spells it.
    fn known(&mut self, text: &str) -> Option<(usize, String)> {
        if let Some(taken) = matches(text, "dddd-dd-ddTdd:dd:dd") {
            let millis = matches(&text[taken..], ".ddd").map_or("", |_| ".000");
            let clock = self.clock(&text[11..taken]);
            return Some((taken + millis.len(), format!("{DAY}T{clock}{millis}")));
        }
        if let Some(taken) = matches(text, "dd:dd:dd") {
            return Some((taken, self.clock(&text[..taken])));
        }
        if let Some(taken) = matches(text, "dddd-dd-dd") {
            return Some((taken, DAY.to_owned()));
        }
        let id = text
            .get(..ID_CHARS)
            .filter(|id| id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()))?;
        // Record ids begin with a time, whose first digit is 0 for some thousand years to come; words do not.
        let is_id = id.starts_with('0') && !text[ID_CHARS..].starts_with(|c: char| c.is_ascii_alphanumeric());
        is_id.then(|| (ID_CHARS, self.id(id)))
    }

    fn id(&mut self, id: &str) -> String {
        let at = self.ids.iter().position(|known| known == id).unwrap_or_else(|| {
            self.ids.push(id.to_owned());
            self.ids.len() - 1
        });
        id_on_page(at)
    }

    /// `10:03:00` for whatever happened while the third command ran.
    fn clock(&self, text: &str) -> String {
        const DAY_S: u64 = 24 * 60 * 60;
        let number = |part: &str| part.parse::<u64>().unwrap_or(0);
        let of_day = text.split(':').fold(0, |sum, part| sum * 60 + number(part));
        let begun = self.ticks.first().copied().unwrap_or(0);
        // As seconds since the first command, so that midnight does not matter.
        let since = (of_day + DAY_S - begun % DAY_S) % DAY_S;
        let minute = self.ticks.iter().filter(|tick| *tick - begun <= since).count();
        format!("10:{minute:02}:00")
    }
}

fn id_on_page(at: usize) -> String {
    format!("{ID_STEM}{:02}", at + 1)
}

/// The length of the pattern, if the text begins with it; `d` stands for a digit.
fn matches(text: &str, pattern: &str) -> Option<usize> {
    let head = text.get(..pattern.len())?;
    let fits =
        |(char, wanted): (char, char)| if wanted == 'd' { char.is_ascii_digit() } else { char == wanted };
    head.chars().zip(pattern.chars()).all(fits).then_some(pattern.len())
}

#[test]
fn ids_and_times_are_spelled_as_on_the_page() {
    let mut spelling = Spelling { ids: Vec::new(), ticks: vec![86_390, 86_395, 86_400] };
    let id = "01kb3x4f5g6h7j8k9mnpqrstvw";
    let text = format!("1970-01-01\n{id}-7 at 1970-01-01T23:59:56.123Z, 00:00:05 - ö {id}");
    let page = spelling.on_page(&text);
    let shown = format!("{ID_STEM}01");
    assert_eq!(page, format!("2026-05-04\n{shown}-7 at 2026-05-04T10:02:00.000Z, 10:03:00 - ö {shown}"));
    assert_eq!(spelling.for_run(&format!("{shown}-7")), format!("{id}-7"));
    let command = format!("avowal review show {shown}-7 {shown}\n");
    assert_eq!(Spelling::with_review(&command, "r-12"), format!("avowal review show r-12 {shown}\n"));
}
