//! The headers that go out with every request, credentials among them.

use crate::http::declare::fault::wrong;
use crate::http::declare::options::{Auth, HttpOptions, Login, Secret};
use avowal_engine::ports::connector::ConnectorError;
use base64::Engine as _;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

/// The fixed headers, and the login where a token has to be fetched.
pub(crate) fn headers(options: &HttpOptions) -> Result<(HeaderMap, Option<Login>), ConnectorError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &options.headers {
        insert(&mut headers, "headers", name, value.reveal())?;
    }
    match &options.auth {
        None => Ok((headers, None)),
        Some(Auth::Bearer(token)) => {
            insert(
                &mut headers,
                "auth.bearer",
                AUTHORIZATION.as_str(),
                &format!("Bearer {}", token.reveal()),
            )?;
            Ok((headers, None))
        }
        Some(Auth::Basic { user, password }) => {
            let pair = Secret::new(format!("{user}:{}", password.reveal()));
            let value = base64::engine::general_purpose::STANDARD.encode(pair.reveal());
            insert(&mut headers, "auth.basic", AUTHORIZATION.as_str(), &format!("Basic {value}"))?;
            Ok((headers, None))
        }
        Some(Auth::Header { name, value }) => {
            insert(&mut headers, "auth.header", name, value.reveal())?;
            Ok((headers, None))
        }
        Some(Auth::Login(login)) => {
            HeaderName::try_from(login.header.as_str())
                .map_err(|_| wrong("auth.login.header", &format!("{:?} is no header name", login.header)))?;
            Ok((headers, Some(login.clone())))
        }
    }
}

fn insert(headers: &mut HeaderMap, place: &str, name: &str, value: &str) -> Result<(), ConnectorError> {
    let key = HeaderName::try_from(name).map_err(|_| wrong(place, &format!("{name:?} is no header name")))?;
    let value =
        secret_header(value).ok_or_else(|| wrong(place, &format!("the value of {name} fits no header")))?;
    headers.insert(key, value);
    Ok(())
}

/// A header that is not shown anywhere; `None` if the text fits no header.
pub(crate) fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
