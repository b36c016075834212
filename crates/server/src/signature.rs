//! Standard Webhooks signatures: who sent a delivery, and when.

use avowal_core::data::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;
use subtle::{Choice, ConstantTimeEq as _};

/// The prefix of a written secret.
const SECRET_PREFIX: &str = "whsec_";
/// The fewest bytes of a key, as the specification asks.
const KEY_BYTES_MIN: usize = 24;
/// The most bytes of a key, as the specification asks.
const KEY_BYTES_MAX: usize = 64;
/// The most signatures that one delivery may carry.
const SIGNATURES_MAX: usize = 16;
/// The longest delivery id.
const ID_BYTES_MAX: usize = 256;

/// A shared secret. It never shows itself.
#[derive(Clone)]
pub struct Secret {
    key: Vec<u8>,
    not_after: Option<Timestamp>,
}

impl Secret {
    /// Reads `whsec_<base64>`; the prefix may be missing.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.trim().strip_prefix(SECRET_PREFIX).unwrap_or(text.trim());
        let key = STANDARD.decode(encoded).map_err(|_| SecretError::Base64)?;
        if !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.len()) {
            return Err(SecretError::Length(key.len()));
        }
        Ok(Self { key, not_after: None })
    }

    /// The same secret, accepted until `at` only: the old one of a rotation.
    pub fn until(self, at: Timestamp) -> Self {
        Self { not_after: Some(at), ..self }
    }

    fn signature(&self, content: &[&[u8]]) -> Option<Vec<u8>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        content.iter().for_each(|part| mac.update(part));
        Some(mac.finalize().into_bytes().to_vec())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

/// Why a written secret cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SecretError {
    /// It is not base64.
    #[error("a webhook secret is `whsec_` and base64, as in whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    Base64,
    /// It is too short or too long to be safe.
    #[error("a webhook secret holds {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes; this one holds {0}")]
    Length(usize),
}

/// The three headers of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignedHeaders<'a> {
    /// `webhook-id`: stable over the sender's retries.
    pub id: &'a str,
    /// `webhook-timestamp`: seconds since 1970.
    pub timestamp: &'a str,
    /// `webhook-signature`: `v1,<base64>`, several separated by blanks.
    pub signature: &'a str,
}

/// Why a delivery is not believed to be its sender's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SignatureError {
    /// A header is missing, too long or not of its form.
    #[error("the header {0} is missing or malformed")]
    Header(&'static str),
    /// It was signed too long ago, or in the future.
    #[error("the timestamp is outside the tolerance; check both clocks")]
    Time,
    /// No signature fits a secret that is valid now.
    #[error("no signature fits")]
    Mismatch,
}

/// Checks what can be known before the body is there: the form of the headers, and the time.
pub fn precheck(tolerance_s: u32, headers: SignedHeaders<'_>, now: Timestamp) -> Result<(), SignatureError> {
    if headers.id.is_empty() || headers.id.len() > ID_BYTES_MAX {
        return Err(SignatureError::Header("webhook-id"));
    }
    let digits = headers.timestamp;
    if digits.is_empty() || digits.len() > 15 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SignatureError::Header("webhook-timestamp"));
    }
    let signed_s: i64 = digits.parse().map_err(|_| SignatureError::Header("webhook-timestamp"))?;
    if now.millis().div_euclid(1000).abs_diff(signed_s) > u64::from(tolerance_s) {
        return Err(SignatureError::Time);
    }
    if given(headers.signature).is_empty() {
        return Err(SignatureError::Header("webhook-signature"));
    }
    Ok(())
}

/// Checks a delivery: a signature by a secret that is valid at `now`, and a time within the tolerance.
///
/// Every signature is compared with every secret in constant time, whether or not an earlier one fitted.
pub fn verify(
    secrets: &[Secret],
    tolerance_s: u32,
    headers: SignedHeaders<'_>,
    body: &[u8],
    now: Timestamp,
) -> Result<(), SignatureError> {
    precheck(tolerance_s, headers, now)?;
    let given = given(headers.signature);
    let content = [headers.id.as_bytes(), b".", headers.timestamp.as_bytes(), b".", body];
    let valid = secrets.iter().filter(|secret| secret.not_after.is_none_or(|until| now <= until));
    let mut fits = Choice::from(0);
    for expected in valid.filter_map(|secret| secret.signature(&content)) {
        for signature in &given {
            fits |= expected.as_slice().ct_eq(signature);
        }
    }
    if bool::from(fits) { Ok(()) } else { Err(SignatureError::Mismatch) }
}

/// The signatures that are of the form we know.
fn given(header: &str) -> Vec<Vec<u8>> {
    let each = header.split(' ').take(SIGNATURES_MAX);
    each.filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok()).collect()
}
