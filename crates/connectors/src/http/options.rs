//! How a service is reached: the keys of `[systems.NAME]` for `connector = "http"`.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// How a service is reached, and how gently.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpOptions {
    /// The address that all paths are appended to, as in `https://api.example.com/v2`.
    pub url: String,
    /// How requests are authorised; none by default.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// How long one request may take, connecting included.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// The pace that the service allows. Without it requests go out freely until it says "too many".
    #[serde(default)]
    pub rate: Option<Rate>,
    /// How many requests may be under way at once.
    #[serde(default = "concurrency")]
    pub concurrency: usize,
    /// Replies are cut at this size.
    #[serde(default = "max_body_bytes")]
    pub max_body_bytes: usize,
    /// Whether the service may be on a loopback, link-local or private address.
    #[serde(default)]
    pub allow_private: bool,
    /// Headers sent with every request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
}

impl HttpOptions {
    /// The defaults for the service at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            auth: None,
            timeout_ms: timeout_ms(),
            rate: None,
            concurrency: concurrency(),
            max_body_bytes: max_body_bytes(),
            allow_private: false,
            headers: BTreeMap::new(),
        }
    }
}

/// How requests are authorised.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// `auth = { bearer = "env:TOKEN" }`: `Authorization: Bearer …`.
    Bearer(Secret),
    /// `auth = { basic = { user = "…", password = "env:PASSWORD" } }`.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// `auth = { header = { name = "X-Api-Key", value = "env:KEY" } }`.
    Header {
        /// The header's name.
        name: String,
        /// Its value.
        value: Secret,
    },
    /// `auth = { login = { path = "/login", body = { … }, token = "/token" } }`: a token is fetched first.
    Login(Login),
}

/// A request that answers with a token. It is repeated when the token is refused or old.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Where to post, below the system's `url`.
    pub path: String,
    /// What to post, as JSON.
    pub body: serde_json::Value,
    /// The JSON pointer of the token in the answer.
    #[serde(default = "token")]
    pub token: String,
    /// The header that carries the token.
    #[serde(default = "authorization")]
    pub header: String,
    /// What stands before the token in that header.
    #[serde(default = "bearer")]
    pub prefix: String,
    /// A token older than this is fetched anew. Some services treat an expired one as an anonymous visitor,
    /// who sees empty lists: too late is dangerous, too early only costs a request.
    #[serde(default = "max_age_s")]
    pub max_age_s: u64,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("path", &self.path).field("token", &self.token).finish_non_exhaustive()
    }
}

/// A pace: at most so many requests a second on average, and so many at once after a rest.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Requests per second.
    pub per_second: f64,
    /// Requests that may go out at once after a rest.
    #[serde(default = "burst")]
    pub burst: u32,
}

/// A text that never shows itself in logs and errors.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the wire only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

fn timeout_ms() -> u64 {
    10_000
}

fn concurrency() -> usize {
    4
}

fn max_body_bytes() -> usize {
    8 << 20
}

fn token() -> String {
    "/token".to_owned()
}

fn authorization() -> String {
    "Authorization".to_owned()
}

fn bearer() -> String {
    "Bearer ".to_owned()
}

fn max_age_s() -> u64 {
    1800
}

fn burst() -> u32 {
    1
}
