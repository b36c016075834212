//! A token that is fetched with a request of its own, kept until it is refused or old.

use super::headers::secret_header;
use crate::http::answer::reply::Reply;
use crate::http::answer::trouble::Trouble;
use crate::http::declare::options::Login;
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The login of a service and its present token.
pub(crate) struct Session {
    login: Login,
    /// The lock is held while a new one is fetched, so that only one caller does.
    token: Mutex<Option<Token>>,
}

struct Token {
    header: HeaderValue,
    fetched_at: Instant,
}

impl Session {
    /// A session without a token yet.
    pub(crate) fn new(login: Login) -> Self {
        Self { login, token: Mutex::new(None) }
    }

    /// The name of the header that carries the token.
    pub(crate) fn header(&self) -> &str {
        &self.login.header
    }

    /// The present token, unless it is `refused` or old; then a new one, from the answer to `post` with path and body.
    pub(crate) async fn token(
        &self,
        refused: Option<&HeaderValue>,
        post: impl AsyncFnOnce(&str, Vec<u8>) -> Result<Reply, Trouble>,
    ) -> Result<HeaderValue, Trouble> {
        let mut present = self.token.lock().await;
        if let Some(token) = present.as_ref()
            && token.fetched_at.elapsed() < Duration::from_secs(self.login.max_age_s)
            && refused != Some(&token.header)
        {
            return Ok(token.header.clone());
        }
        let body =
            serde_json::to_vec(&self.login.body).map_err(|error| Trouble::Refused(error.to_string()))?;
        let reply = post(&self.login.path, body).await.map_err(|trouble| match trouble {
            // A login changes nothing in the service, and the request that needs the token has not gone out.
            Trouble::Lost(reason) | Trouble::NotSent(reason) => Trouble::NotSent(format!("login: {reason}")),
            Trouble::Paced(ms) => Trouble::Paced(ms),
            Trouble::Refused(reason) => Trouble::Refused(reason),
        })?;
        let header = self.read(&reply)?;
        *present = Some(Token { header: header.clone(), fetched_at: Instant::now() });
        Ok(header)
    }

    fn read(&self, reply: &Reply) -> Result<HeaderValue, Trouble> {
        let Login { path, token: place, prefix, .. } = &self.login;
        if reply.status.is_server_error() || reply.status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Trouble::NotSent(format!("POST {path}: {}", reply.words())));
        }
        if !reply.status.is_success() {
            return Err(Trouble::Refused(format!("POST {path}: {}", reply.words())));
        }
        let token = reply
            .text_at(place)
            .ok_or_else(|| Trouble::Refused(format!("POST {path}: no token is at `token = {place:?}`")))?;
        secret_header(&format!("{prefix}{token}"))
            .ok_or_else(|| Trouble::Refused(format!("POST {path}: the token fits no header")))
    }
}
