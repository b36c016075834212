//! The service's own words, made fit for a message.

use super::reply::Reply;
use serde_json::Value as Json;

/// The most characters of foreign text that an error repeats.
const HOSTILE_TEXT_CHARS_MAX: usize = 300;

/// The most explanations that are repeated.
const WORDS_MAX: usize = 4;

/// How deep an explanation may stand in an answer.
const DEPTH_MAX: usize = 5;

/// The keys under which services explain themselves, without `_` and in small letters.
const KEYS: [&str; 19] = [
    "message",
    "messages",
    "msg",
    "error",
    "errors",
    "errormessage",
    "errormessages",
    "errormsg",
    "errordescription",
    "errordetails",
    "errorsummary",
    "detail",
    "details",
    "title",
    "description",
    "reason",
    "faultstring",
    "nonfielderrors",
    "statusmessage",
];

impl Reply {
    /// What a person needs to know of a refusal: the status and the service's own words, shortened.
    pub(crate) fn words(&self) -> String {
        let status = match self.status.canonical_reason() {
            Some(reason) => format!("{} {reason}", self.status.as_u16()),
            None => self.status.as_u16().to_string(),
        };
        match explanation(&self.body) {
            Some(words) => format!("{status}: {}", harmless(&words)),
            None => status,
        }
    }
}

/// Foreign text that is fit for a log line: short, and without control characters.
pub(crate) fn harmless(text: &str) -> String {
    let mut out = String::new();
    for (n, char) in text.chars().enumerate() {
        if n == HOSTILE_TEXT_CHARS_MAX {
            out.push('…');
            break;
        }
        if char.is_control() { out.extend(char.escape_default()) } else { out.push(char) }
    }
    out
}

/// What a body says, whatever its form: JSON in the usual shapes, a page's title, or plain text.
fn explanation(body: &[u8]) -> Option<String> {
    let Ok(json) = serde_json::from_slice::<Json>(body) else { return plain(body) };
    let mut found = Vec::new();
    collect(&json, None, false, 0, &mut found);
    if found.is_empty() {
        // Nothing stands under a usual name, as in `{"name": ["is too long"]}`: whatever is said is an explanation.
        collect(&json, None, true, 0, &mut found);
    }
    (!found.is_empty()).then(|| found.join("; "))
}

/// Collects the texts under the usual keys, and below one everything that is said, with the name of what it is about.
fn collect(json: &Json, about: Option<&str>, spoken: bool, depth: usize, found: &mut Vec<String>) {
    if depth > DEPTH_MAX {
        return;
    }
    match json {
        Json::String(text) if spoken => {
            let text = match about {
                Some(name) => format!("{name}: {}", text.trim()),
                None => text.trim().to_owned(),
            };
            if found.len() < WORDS_MAX && !text.is_empty() && !found.contains(&text) {
                found.push(text);
            }
        }
        Json::Array(items) => {
            items.iter().take(8).for_each(|inner| collect(inner, about, spoken, depth + 1, found));
        }
        Json::Object(map) => {
            // Below an explanation an object either explains by the usual keys or names what each text is about.
            let usual = |key: &str| KEYS.contains(&key.replace(['_', '-'], "").to_ascii_lowercase().as_str());
            let explains = map.iter().any(|(key, inner)| usual(key) && !inner.is_null());
            for (key, inner) in map {
                match usual(key) {
                    true => collect(inner, about, true, depth + 1, found),
                    false if spoken && explains && inner.is_string() => {}
                    false => collect(inner, Some(key), spoken, depth + 1, found),
                }
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// A plain text, or what a page is called.
fn plain(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    let text = match text.starts_with('<') {
        true => {
            let lower = text.to_ascii_lowercase();
            let begin = lower.find("<title")?;
            let begin = begin + lower[begin..].find('>')? + 1;
            let end = begin + lower[begin..].find("</title")?;
            text.get(begin..end)?.trim()
        }
        false => text,
    };
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        assert_eq!(explanation(body.as_bytes()).as_deref().unwrap_or("nothing"), expected, "{body}");
    }

    #[test]
    fn reasons_are_found_in_the_usual_shapes() {
        check(r#"{"message": "too long"}"#, "too long");
        check(
            r#"{"errors": ["Subject is too long", "Name is empty"]}"#,
            "Subject is too long; Name is empty",
        );
        check(r#"{"name": ["Ensure this field is short."]}"#, "name: Ensure this field is short.");
        check(
            r#"{"errors": {"email": ["has been taken"], "name": "is empty"}}"#,
            "email: has been taken; name: is empty",
        );
        check(r#"{"msg": "no such column"}"#, "no such column");
        check(r#"{"errorMessages": ["Field is required"], "errors": {}}"#, "Field is required");
        check(r#"{"errorMessages": [], "errors": {"summary": "Say more"}}"#, "summary: Say more");
        check(r#"{"error": {"code": "bad", "message": "no", "param": "x"}}"#, "no");
        check(r#"[{"errorCode": "REQUIRED", "message": "Last name"}]"#, "Last name");
        check(
            r#"{"title": "Invalid", "detail": "no such place", "type": "about:blank"}"#,
            "no such place; Invalid",
        );
        check(
            r#"{"data": {"email": {"code": "x", "message": "Must be unique"}}, "message": "Failed"}"#,
            "email: Must be unique; Failed",
        );
        check(r#"{"statusCode": 400, "message": ["a", "a", "b"]}"#, "a; b");
        check(r#""just a text""#, "just a text");
        check("no JSON at all\n", "no JSON at all");
        check("<html><head><TITLE>502 Bad Gateway</TITLE></head></html>", "502 Bad Gateway");
        check("<html></html>", "nothing");
        check("", "nothing");
        check("{}", "nothing");
        check(r#"{"ok": false, "n": 3}"#, "nothing");
    }

    #[test]
    fn hostile_words_are_short_and_on_one_line() {
        assert_eq!(harmless("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
        assert_eq!(harmless(&"x".repeat(400)).chars().count(), HOSTILE_TEXT_CHARS_MAX + 1);
    }
}
