//! The webhook listener and the API, over real sockets.
#![allow(clippy::unwrap_used)]

#[cfg(unix)]
mod api;
mod crm;
mod fuzz_signature;
mod listen;
mod signature;
mod webhook;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A secret of 32 equal bytes, as it is written.
fn secret(byte: u8) -> String {
    format!("whsec_{}", STANDARD.encode([byte; 32]))
}
