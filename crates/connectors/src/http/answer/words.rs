//! The service's own words, made fit for a message.

use super::reply::Reply;

/// The most characters of foreign text that an error repeats.
const HOSTILE_TEXT_CHARS_MAX: usize = 300;

impl Reply {
    /// What a person needs to know of a refusal: the status and the service's own words, shortened.
    pub(crate) fn words(&self) -> String {
        let mut found = Vec::new();
        if let Ok(body) = serde_json::from_slice::<serde_json::Value>(&self.body) {
            collect_words(&body, 0, &mut found);
        }
        let status = match self.status.canonical_reason() {
            Some(reason) => format!("{} {reason}", self.status.as_u16()),
            None => self.status.as_u16().to_string(),
        };
        if found.is_empty() { status } else { format!("{status}: {}", harmless(&found.join("; "))) }
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

/// Collects the texts under the keys that services use for explanations.
fn collect_words(json: &serde_json::Value, depth: usize, found: &mut Vec<String>) {
    const KEYS: [&str; 5] = ["message", "error", "detail", "title", "error_description"];
    if depth > 4 || found.len() >= 4 {
        return;
    }
    match json {
        serde_json::Value::Object(map) => {
            let texts = KEYS.iter().filter_map(|key| map.get(*key)?.as_str());
            found.extend(texts.map(str::to_owned));
            map.iter().for_each(|(_, inner)| collect_words(inner, depth + 1, found));
        }
        serde_json::Value::Array(items) => {
            items.iter().take(8).for_each(|inner| collect_words(inner, depth + 1, found));
        }
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}
