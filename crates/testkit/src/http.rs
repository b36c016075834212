//! The HTTP client of tests and fake services.

use std::io;

/// A client without a proxy, with the product's own TLS.
///
/// # Errors
/// The machine has no root certificates.
pub fn client() -> io::Result<reqwest::Client> {
    builder()?.build().map_err(io::Error::other)
}

/// The same client, which passes redirects on instead of following them and takes a new connection for each request: a
/// service may close an idle one just when it is used again.
///
/// # Errors
/// The machine has no root certificates.
pub fn client_without_redirects() -> io::Result<reqwest::Client> {
    let builder = builder()?.redirect(reqwest::redirect::Policy::none()).pool_max_idle_per_host(0);
    builder.build().map_err(io::Error::other)
}

fn builder() -> io::Result<reqwest::ClientBuilder> {
    let tls = avowal_tls::client_config().map_err(io::Error::other)?;
    Ok(reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy())
}
