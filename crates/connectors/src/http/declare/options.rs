//! How a service is reached: the keys of `[systems.NAME]` for `connector = "http"`.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// A JSON service over HTTP: its address, how requests are authorised, and how many it gets.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpOptions {
    /// The service's address, to which all paths are appended.
    #[schemars(example = &"https://api.example.com/v2")]
    pub url: String,
    /// How requests are authorised. Without it they carry no credentials.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "bearer": "env:CRM_TOKEN" }]))]
    pub auth: Option<Auth>,
    /// How long one request may take, connecting included, in milliseconds.
    #[serde(default = "timeout_ms")]
    #[schemars(example = 30_000)]
    pub timeout_ms: u64,
    /// How long a page of a listing or change query waits in all for a service that asks us to come back later (429, or
    /// 503 with a time), in milliseconds.
    #[serde(default = "patience_ms")]
    #[schemars(example = 120_000)]
    pub patience_ms: u64,
    /// How many requests the service allows. Without it requests go out freely until the service refuses one as too many.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "per_second": 5.0, "burst": 10 }]))]
    pub rate: Option<Rate>,
    /// How many requests may be under way at once, from 1 to 64.
    #[serde(default = "concurrency")]
    #[schemars(example = 8)]
    pub concurrency: usize,
    /// The largest answer that is read, in bytes.
    #[serde(default = "max_body_bytes")]
    #[schemars(example = 1_048_576)]
    pub max_body_bytes: usize,
    /// Whether the service may have a loopback, link-local or private address. Without it such an address is refused.
    #[serde(default)]
    #[schemars(example = true)]
    pub allow_private: bool,
    /// Headers that are sent with every request.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "X-Tenant": "env:CRM_TENANT" }]))]
    pub headers: BTreeMap<String, Secret>,
}

impl HttpOptions {
    /// The defaults for the service at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            auth: None,
            timeout_ms: timeout_ms(),
            patience_ms: patience_ms(),
            rate: None,
            concurrency: concurrency(),
            max_body_bytes: max_body_bytes(),
            allow_private: false,
            headers: BTreeMap::new(),
        }
    }
}

/// How requests are authorised.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// A token in the header `Authorization: Bearer …`.
    #[schemars(extend("examples" = [{ "bearer": "env:CRM_TOKEN" }]))]
    Bearer(Secret),
    /// A user's name and password in the header `Authorization: Basic …`.
    #[schemars(extend("examples" = [{ "basic": { "user": "sync", "password": "env:CRM_PASSWORD" } }]))]
    Basic {
        /// The user's name.
        #[schemars(example = &"sync")]
        user: String,
        /// The password.
        #[schemars(example = &"env:CRM_PASSWORD")]
        password: Secret,
    },
    /// A key in a header of its own.
    #[schemars(extend("examples" = [{ "header": { "name": "X-Api-Key", "value": "env:CRM_KEY" } }]))]
    Header {
        /// The header's name.
        #[schemars(example = &"X-Api-Key")]
        name: String,
        /// What the header holds: the key.
        #[schemars(example = &"env:CRM_KEY")]
        value: Secret,
    },
    /// A token that is fetched with a request of its own.
    #[schemars(extend("examples" = [
        { "login": { "path": "/login", "body": { "user": "sync", "password": "env:CRM_PASSWORD" } } }
    ]))]
    Login(Login),
}

/// A request that answers with a token. It is repeated when the token is refused or old.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Where to post, below the system's `url`.
    #[schemars(example = &"/login")]
    pub path: String,
    /// What to post, as JSON.
    #[schemars(extend("examples" = [{ "user": "sync", "password": "env:CRM_PASSWORD" }]))]
    pub body: serde_json::Value,
    /// The JSON pointer of the token in the answer.
    #[serde(default = "token")]
    #[schemars(example = &"/data/access_token")]
    pub token: String,
    /// The header that carries the token.
    #[serde(default = "authorization")]
    #[schemars(example = &"X-Session")]
    pub header: String,
    /// The text before the token in that header.
    #[serde(default = "bearer")]
    #[schemars(example = &"Token ")]
    pub prefix: String,
    /// The age, in seconds, at which a new token is fetched. Keep it far below the token's lifetime: some services
    /// treat an expired token as an anonymous visitor, who sees empty lists.
    #[serde(default = "max_age_s")]
    #[schemars(example = 600)]
    pub max_age_s: u64,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("path", &self.path).field("token", &self.token).finish_non_exhaustive()
    }
}

/// A bound on requests: so many a second on average, and so many at once after a pause.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Requests a second, on average.
    #[schemars(range(min = 0), example = 5.0)]
    pub per_second: f64,
    /// Requests that may go out at once after a pause.
    #[serde(default = "burst")]
    #[schemars(example = 10)]
    pub burst: u32,
}

/// A text that never shows itself in logs and errors.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
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

fn patience_ms() -> u64 {
    60_000
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
