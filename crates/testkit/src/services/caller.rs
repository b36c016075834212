//! Somebody who calls a service by hand: a person at its API, or a script that mirrors everything.

pub use reqwest::Method;
use serde_json::Value;
use std::io;
use std::time::Duration;
use tokio::runtime::Runtime;

const REQUEST_MS_MAX: u64 = 60_000;

/// Sends requests with the same headers to one address. Its methods block, so they must not be called inside a tokio
/// runtime.
#[derive(Debug)]
pub struct Caller {
    url: String,
    headers: Vec<(&'static str, String)>,
    http: reqwest::Client,
    runtime: Runtime,
}

impl Caller {
    /// A caller of `url` that sends these headers.
    pub fn new(url: &str, headers: &[(&'static str, String)]) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let http = crate::http::client_without_redirects()?;
        Ok(Self { url: url.to_owned(), headers: headers.to_vec(), http, runtime })
    }

    /// Calls another address from now on.
    pub fn call(&mut self, url: String) {
        self.url = url;
    }

    /// Sends this header, too, from now on.
    pub fn send(&mut self, name: &'static str, value: String) {
        self.headers.push((name, value));
    }

    /// The JSON of a successful answer; `null` where it is empty. Any other status is an error that shows the answer.
    pub fn request(&self, method: Method, path: &str, body: Option<&Value>) -> io::Result<Value> {
        let text = self.text(method, path, body)?;
        if text.is_empty() { Ok(Value::Null) } else { serde_json::from_str(&text).map_err(io::Error::other) }
    }

    /// The body of a successful answer. Any other status is an error that shows the answer.
    pub fn text(&self, method: Method, path: &str, body: Option<&Value>) -> io::Result<String> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.url));
        request = request.timeout(Duration::from_millis(REQUEST_MS_MAX));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let sent = async {
            let response = request.send().await?;
            Ok::<_, reqwest::Error>((response.status(), response.text().await?))
        };
        let (status, text) = self.runtime.block_on(sent).map_err(io::Error::other)?;
        if !status.is_success() {
            return Err(io::Error::other(format!("{method} {path}: {status}: {text}")));
        }
        Ok(text)
    }

    /// The JSON of a successful `GET`.
    pub fn get(&self, path: &str) -> io::Result<Value> {
        self.request(Method::GET, path, None)
    }
}
