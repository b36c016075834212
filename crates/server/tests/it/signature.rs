//! Our verification against the reference implementation's signatures.

use super::secret;
use avowal_core::data::time::Timestamp;
use avowal_server::signature::{Secret, SecretError, SignatureError, SignedHeaders, verify};

const NOW_S: i64 = 1_763_800_000;
const BODY: &str = r#"{"type":"contact.updated","data":{"id":"c1"}}"#;

fn oracle(secret: &str, at_s: i64) -> String {
    standardwebhooks::Webhook::new(secret).unwrap().sign("msg_1", at_s, BODY.as_bytes()).unwrap()
}

#[track_caller]
fn check(secrets: &[Secret], at_s: &str, signature: &str, body: &str, expected: Result<(), SignatureError>) {
    let headers = SignedHeaders { id: "msg_1", timestamp: at_s, signature };
    let now = Timestamp::from_millis(NOW_S * 1000 + 400);
    assert_eq!(verify(secrets, 300, headers, body.as_bytes(), now), expected, "{signature} at {at_s}");
}

fn one() -> Vec<Secret> {
    vec![Secret::parse(&secret(1)).unwrap()]
}

#[test]
fn the_reference_signature_is_accepted_and_one_changed_byte_is_not() {
    let signature = oracle(&secret(1), NOW_S);
    let at = NOW_S.to_string();
    check(&one(), &at, &signature, BODY, Ok(()));
    check(&one(), &at, &format!("v1a,xyz v1,AAAA {signature}"), BODY, Ok(()));
    check(&one(), &at, &signature, &BODY.replace("c1", "c2"), Err(SignatureError::Mismatch));
    check(&one(), &(NOW_S + 1).to_string(), &signature, BODY, Err(SignatureError::Mismatch));
    check(&one(), &at, &oracle(&secret(2), NOW_S), BODY, Err(SignatureError::Mismatch));
    for malformed in ["", "v1,", "v2,AAAA", "v1", "v1,!!!"] {
        let expected = match malformed {
            "v1," => SignatureError::Mismatch,
            _ => SignatureError::Header("webhook-signature"),
        };
        check(&one(), &at, malformed, BODY, Err(expected));
    }
    check(&[], &at, &signature, BODY, Err(SignatureError::Mismatch));
}

#[test]
fn the_time_must_be_within_the_tolerance() {
    for (offset, expected) in
        [(300, Ok(())), (-300, Ok(())), (301, Err(SignatureError::Time)), (-301, Err(SignatureError::Time))]
    {
        let at = NOW_S + offset;
        check(&one(), &at.to_string(), &oracle(&secret(1), at), BODY, expected);
    }
    for malformed in ["", "-1", "+1763800000", "1763800000.0", "99999999999999999999"] {
        check(&one(), malformed, "v1,AAAA", BODY, Err(SignatureError::Header("webhook-timestamp")));
    }
}

#[test]
fn both_secrets_count_during_a_rotation_and_the_old_one_ends() {
    let old = |until_s: i64| Secret::parse(&secret(1)).unwrap().until(Timestamp::from_millis(until_s * 1000));
    let new = || Secret::parse(&secret(2)).unwrap();
    let at = NOW_S.to_string();
    for byte in [1, 2] {
        check(&[old(NOW_S + 60), new()], &at, &oracle(&secret(byte), NOW_S), BODY, Ok(()));
    }
    let retired = [old(NOW_S), new()];
    check(&retired, &at, &oracle(&secret(1), NOW_S), BODY, Err(SignatureError::Mismatch));
    check(&retired, &at, &oracle(&secret(2), NOW_S), BODY, Ok(()));
}

#[test]
fn a_weak_secret_is_refused_and_none_is_shown() {
    assert_eq!(Secret::parse("whsec_c2hvcnQ=").unwrap_err(), SecretError::Length(5));
    assert_eq!(Secret::parse("whsec_%%%").unwrap_err(), SecretError::Base64);
    let shown = format!("{:?}", Secret::parse(&secret(1)).unwrap());
    assert!(!shown.contains("AQEB") && !shown.contains("[1, 1"), "{shown}");
}
