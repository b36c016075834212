//! How this program speaks TLS to a server: one provider of ciphers, and the certificates that the machine trusts.
//!
//! Never in here: a connection, or a way to trust less than the machine does.
//! Begin with [`client_config`]; Postgres and HTTP both use it.

use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::Arc;

/// A client that trusts what the machine trusts, and shows no certificate of its own.
///
/// The ciphers come from `ring`: it compiles in a fifth of the time of `aws-lc`, which needs to be built from C.
///
/// # Errors
/// The machine has no root certificates, or they cannot be read.
pub fn client_config() -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_platform_verifier()?.with_no_client_auth())
}
