//! Headers and bodies from anybody: never a panic, and nothing accepted that the secret's holder did not sign.

use super::secret;
use avowal_core::data::time::Timestamp;
use avowal_server::signature::{Secret, SignedHeaders, verify};
use proptest::prelude::*;

const NOW_S: i64 = 1_763_800_000;

/// `AVOWAL_FUZZ_CASES`, else `PROPTEST_CASES`, else 500.
fn fuzz() -> ProptestConfig {
    let asked = std::env::var("AVOWAL_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok());
    let known = std::env::var_os("PROPTEST_CASES").map(|_| ProptestConfig::default().cases);
    ProptestConfig {
        cases: asked.or(known).unwrap_or(500),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn accepted(id: &str, timestamp: &str, signature: &str, body: &[u8]) -> bool {
    let secrets = [Secret::parse(&secret(1)).unwrap()];
    let headers = SignedHeaders { id, timestamp, signature };
    verify(&secrets, 300, headers, body, Timestamp::from_millis(NOW_S * 1000)).is_ok()
}

/// The reference implementation's signature.
fn signed(id: &str, at_s: i64, body: &str) -> String {
    standardwebhooks::Webhook::new(&secret(1)).unwrap().sign(id, at_s, body.as_bytes()).unwrap()
}

fn any_signature() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "(v1|v2|v1a|),?[A-Za-z0-9+/=]{0,60}", "(v1,[A-Za-z0-9+/]{43}= ?){1,20}"]
}

proptest! {
    #![proptest_config(fuzz())]

    #[test]
    fn nothing_unsigned_is_accepted(
        id in any::<String>(),
        timestamp in prop_oneof![any::<String>(), Just(NOW_S.to_string()), any::<i64>().prop_map(|at| at.to_string())],
        signature in any_signature(),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assert!(!accepted(&id, &timestamp, &signature, &body));
    }

    #[test]
    fn what_is_signed_is_accepted_and_nothing_else(
        id in "[a-zA-Z0-9_]{1,20}",
        body in any::<String>(),
        offset_s in -300..=300_i64,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let at_s = NOW_S + offset_s;
        let (timestamp, signature) = (at_s.to_string(), signed(&id, at_s, &body));
        prop_assert!(accepted(&id, &timestamp, &signature, body.as_bytes()));
        let longer = id.clone() + "x";
        prop_assert!(!accepted(&longer, &timestamp, &signature, body.as_bytes()));
        prop_assert!(!accepted(&id, &(at_s + 1).to_string(), &signature, body.as_bytes()));
        let mut other = body.clone().into_bytes();
        other.push(byte);
        prop_assert!(!accepted(&id, &timestamp, &signature, &other));
        if !body.is_empty() {
            let mut other = body.into_bytes();
            let at = at.index(other.len());
            other[at] ^= byte | 1;
            prop_assert!(!accepted(&id, &timestamp, &signature, &other));
        }
    }

    #[test]
    fn a_changed_signature_is_not_one(body in any::<String>(), at in any::<prop::sample::Index>(), byte in 33..127_u8) {
        let signature = signed("msg_1", NOW_S, &body);
        let mut changed = signature.clone().into_bytes();
        let at = at.index(changed.len());
        changed[at] = byte;
        let changed = String::from_utf8(changed).unwrap();
        if changed != signature {
            prop_assert!(!accepted("msg_1", &NOW_S.to_string(), &changed, body.as_bytes()), "{changed}");
        }
    }

    #[test]
    fn what_is_signed_is_not_cut_in_another_place(id in "[a-z.0-9]{1,12}", body in "[a-z.0-9]{0,12}") {
        // Id, time and body are joined by dots: a part must not move from one into the other.
        let signature = signed(&id, NOW_S, &body);
        let timestamp = NOW_S.to_string();
        let moved = format!("{id}.{timestamp}");
        prop_assert!(!accepted(&moved, &timestamp, &signature, body.as_bytes()));
        let moved = format!("{timestamp}.{body}");
        prop_assert!(!accepted(&id, &timestamp, &signature, moved.as_bytes()));
    }

    #[test]
    fn any_text_is_a_secret_or_refused(text in any::<String>(), prefixed in any::<bool>()) {
        let text = if prefixed { format!("whsec_{text}") } else { text };
        if let Err(error) = Secret::parse(&text) {
            prop_assert!(text.len() < 12 || !error.to_string().contains(&text), "a secret is shown: {error}");
        }
    }
}
