//! A report as one page for a browser. It needs nothing from anywhere else, and nothing that a system holds is taken for
//! markup.

use std::fmt::{Display, Write as _};

/// The look of a page.
const STYLE: &str = include_str!("page.css");

/// A page that is being written, from top to bottom.
pub struct Page(String);

impl Page {
    /// A page with its title and its heading.
    pub fn new(title: &str, heading: &str) -> Self {
        let mut page = Self(String::with_capacity(64 * 1024));
        page.raw(format_args!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{}</title><style>{STYLE}</style><main><h1>{}</h1>",
            text(title),
            text(heading)
        ));
        page
    }

    /// A part of the page.
    pub fn part(&mut self, heading: &str) {
        self.raw(format_args!("<h2>{}</h2>", text(heading)));
    }

    /// A smaller part within it.
    pub fn smaller_part(&mut self, heading: &str) {
        self.raw(format_args!("<h3>{}</h3>", text(heading)));
    }

    /// A paragraph.
    pub fn paragraph(&mut self, words: &str) {
        self.raw(format_args!("<p>{}</p>", text(words)));
    }

    /// A list; nothing if it has no items.
    pub fn list(&mut self, items: impl IntoIterator<Item = impl AsRef<str>>) {
        let items: String =
            items.into_iter().map(|item| format!("<li>{}</li>", text(item.as_ref()))).collect();
        if !items.is_empty() {
            self.raw(format_args!("<ul>{items}</ul>"));
        }
    }

    /// Markup as it is. Whatever comes from outside has to go through [`text`] before.
    pub fn raw(&mut self, markup: impl Display) {
        // Writing into a text does not fail.
        let _ = write!(self.0, "{markup}");
    }

    /// The whole page.
    pub fn finish(mut self) -> String {
        self.0.push_str("</main></html>\n");
        self.0
    }
}

/// A text as it may stand in a page: nothing in it is taken for markup.
pub fn text(foreign: &str) -> String {
    let mut out = String::with_capacity(foreign.len());
    for letter in foreign.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // It would reorder or hide what stands around it.
            '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}' => {
                out.push('\u{FFFD}')
            }
            letter if letter.is_control() => out.push('\u{FFFD}'),
            letter => out.push(letter),
        }
    }
    out
}
