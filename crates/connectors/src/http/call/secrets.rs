//! What must never be repeated: credentials and other secrets that a service may echo.

use crate::http::declare::options::{Auth, HttpOptions};
use base64::Engine as _;
use std::sync::{Mutex, PoisonError};

/// Shorter texts are no secrets; to hide them would make words unreadable.
const CHARS_MIN: usize = 6;

/// What stands in the place of a secret.
const HIDDEN: &str = "(secret)";

/// The configured secrets of a service, and the tokens that it gave.
pub(crate) struct Secrets(Mutex<Vec<String>>);

impl Secrets {
    /// Those of a declaration. Long parts of the address's path count too, for some services take their key there.
    pub(crate) fn of(options: &HttpOptions) -> Self {
        let secrets = Self(Mutex::default());
        options.headers.values().for_each(|value| secrets.add(value.reveal()));
        match &options.auth {
            None => {}
            Some(Auth::Bearer(token)) => secrets.add(token.reveal()),
            Some(Auth::Basic { user, password }) => {
                let pair = format!("{user}:{}", password.reveal());
                secrets.add(&base64::engine::general_purpose::STANDARD.encode(pair));
                secrets.add(password.reveal());
            }
            Some(Auth::Header { value, .. }) => secrets.add(value.reveal()),
            Some(Auth::Login(login)) => secrets.add_texts("", &login.body),
        }
        let path = options.url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        for part in path.map_or("", |(_, path)| path).split('/') {
            let plain = part.len() < 16 && !part.bytes().any(|byte| byte.is_ascii_digit());
            if part.len() >= 10 && !plain {
                secrets.add(part);
            }
        }
        secrets
    }

    /// Adds one that became known later.
    pub(crate) fn add(&self, secret: &str) {
        // A header may hold a word before its secret, as in `Token abc`.
        let parts = secret.split_whitespace().chain([secret]);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for part in parts.filter(|part| part.len() >= CHARS_MIN) {
            if !all.iter().any(|had| had == part) {
                all.push(part.to_owned());
            }
        }
        // A secret that holds another one is hidden first.
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// A text without them.
    pub(crate) fn hide(&self, text: String) -> String {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().fold(text, |text, secret| match text.contains(secret.as_str()) {
            true => text.replace(secret.as_str(), HIDDEN),
            false => text,
        })
    }

    /// A body without them, if it is text.
    pub(crate) fn hide_bytes(&self, body: Vec<u8>) -> Vec<u8> {
        match String::from_utf8(body) {
            Ok(text) => self.hide(text).into_bytes(),
            Err(error) => error.into_bytes(),
        }
    }

    fn add_texts(&self, name: &str, json: &serde_json::Value) {
        match json {
            serde_json::Value::String(text) => {
                // Who logs in is no secret.
                if !matches!(name, "user" | "username" | "login" | "identity" | "email") {
                    self.add(text);
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| self.add_texts(name, item)),
            serde_json::Value::Object(map) => map.iter().for_each(|(name, item)| self.add_texts(name, item)),
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::declare::options::Secret;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let mut options = HttpOptions::new("https://x.org/botSECRET12345/api/customers");
        options.auth = Some(Auth::Basic { user: "sync".to_owned(), password: Secret::new("pa$$word") });
        options.headers.insert("X-Key".to_owned(), Secret::new("Key abcdefgh"));
        let secrets = Secrets::of(&options);
        secrets.add("token-of-today");
        let hidden = |text: &str| secrets.hide(text.to_owned());
        assert_eq!(hidden("GET /botSECRET12345/api/customers"), "GET /(secret)/api/customers");
        assert_eq!(hidden("Basic c3luYzpwYSQkd29yZA== of sync"), "Basic (secret) of sync");
        assert_eq!(hidden("Key abcdefgh, abcdefgh, token-of-today"), "(secret), (secret), (secret)");
        assert_eq!(hidden("nothing here"), "nothing here");
    }
}
