//! Paths and queries with places to fill in.

use std::collections::BTreeMap;

/// The names that may stand in a template.
pub(crate) const NAMES: [&str; 10] =
    ["object", "id", "limit", "page", "offset", "cursor", "after_id", "since", "field", "value"];

/// A text with places to fill in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Placeholder { name: String, json: bool },
}

/// What is filled in, by name.
pub(crate) type Filling = BTreeMap<&'static str, String>;

impl Template {
    /// Reads `text`; `{{` stands for a brace.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let tail = &rest[at..];
            if let Some(after) = tail.strip_prefix("{{").or_else(|| tail.strip_prefix("}}")) {
                plain.push_str(&tail[..1]);
                rest = after;
                continue;
            }
            let inner = tail.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let Some((inside, after)) = inner else {
                return Err(format!("{text:?} has a brace without its partner; write `{{{{` for a brace"));
            };
            let (name, json) = match inside.split_once(':') {
                Some((name, "json")) => (name, true),
                Some((_, form)) => return Err(format!("{text:?}: unknown form {form:?}; there is `:json`")),
                None => (inside, false),
            };
            if !NAMES.contains(&name) {
                return Err(format!("{text:?}: unknown place {name:?}; known are {}", NAMES.join(", ")));
            }
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Placeholder { name: name.to_owned(), json });
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    /// Whether `name` has a place here.
    pub(crate) fn mentions(&self, wanted: &str) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Placeholder { name, .. } if name == wanted))
    }

    /// The text with everything filled in as it is; `None` if a value is missing.
    pub(crate) fn plain(&self, filling: &Filling) -> Option<String> {
        self.render(filling, |text| Some(text.to_owned()))
    }

    /// The text as a URL path, every value as one segment; `None` if a value is missing or no segment.
    pub(crate) fn path(&self, filling: &Filling) -> Option<String> {
        self.render(filling, segment)
    }

    fn render(&self, filling: &Filling, encode: impl Fn(&str) -> Option<String>) -> Option<String> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Placeholder { name, json: false } => {
                    out.push_str(&encode(filling.get(name.as_str())?)?)
                }
                Part::Placeholder { name, json: true } => {
                    let quoted = serde_json::to_string(filling.get(name.as_str())?).ok()?;
                    out.push_str(&encode(&quoted)?);
                }
            }
        }
        Some(out)
    }
}

/// Encodes everything but the unreserved characters. `.` and `..` would be steps in the path, however they
/// are encoded, so they are no segment; nor is nothing.
fn segment(text: &str) -> Option<String> {
    if matches!(text, "" | "." | "..") {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(template: &str, id: &str) -> Option<String> {
        Template::parse(template).unwrap().path(&Filling::from([("id", id.to_owned())]))
    }

    #[test]
    fn a_value_stays_one_segment() {
        assert_eq!(check("/a/{id}", "x/../y?z#ü").unwrap(), "/a/x%2F..%2Fy%3Fz%23%C3%BC");
        assert_eq!(check("/a/{id}", ".."), None);
        assert_eq!(check("/a/{id}", ""), None);
        assert_eq!(check("/{{a}}/{id}", "1").unwrap(), "/{a}/1");
        assert_eq!(check("{id:json}", "a\"b").unwrap(), "%22a%5C%22b%22");
    }

    #[test]
    fn an_unknown_place_is_refused() {
        for wrong in ["{nope}", "{id", "id}", "{id:sql}"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }
}
