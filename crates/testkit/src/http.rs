//! The HTTP client of tests and fake services.

use std::io;

/// A client without a proxy, with the product's own TLS.
///
/// # Errors
/// The machine has no root certificates.
pub fn client() -> io::Result<reqwest::Client> {
    let tls = avowal_tls::client_config().map_err(io::Error::other)?;
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy();
    builder.build().map_err(io::Error::other)
}
