//! Canonical JSON against an independent implementation, and the edges of numbers.

use avowal_core::data::canonical::canonical_without;
use avowal_core::data::value::{Digest, SAFE_INTEGER_MAX, Value, ValueError, write_canonical_json};
use proptest::prelude::*;
use serde_json::Value as Json;

/// Trees of JSON whose integers are safe, with keys and texts from all planes.
fn any_json() -> impl Strategy<Value = Json> {
    let text = prop_oneof![
        "[a-z]{0,6}".prop_map(String::from),
        any::<String>(),
        // Beyond the basic plane, where UTF-16 order differs from code-point order, next to its neighbours.
        prop::collection::vec(
            prop_oneof![
                Just('\u{FB33}'),
                Just('\u{1F600}'),
                Just('\u{E000}'),
                Just('\u{10FFFF}'),
                Just('€'),
                Just('z')
            ],
            0..4
        )
        .prop_map(|chars| chars.into_iter().collect()),
        "[\u{0}-\u{1F}\"\\\\\u{7F}\u{2028}/]{0,6}".prop_map(String::from),
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-SAFE_INTEGER_MAX..=SAFE_INTEGER_MAX).prop_map(Json::from),
        fraction().prop_map(Json::from),
        text.clone().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(text.clone(), inner, 0..6)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

/// Finite doubles that are no integers.
fn fraction() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), -1e6..1e6f64, -1e-6..1e-6f64]
        .prop_filter("a finite fraction", |number| number.is_finite() && number.fract() != 0.0)
}

proptest! {
    #[test]
    fn canonical_form_equals_an_independent_implementation(json in any_json()) {
        let text = serde_json::to_vec(&json).unwrap();
        let ours = Value::parse(&text).unwrap();
        let theirs = serde_json_canonicalizer::to_vec(&json).unwrap();
        prop_assert_eq!(String::from_utf8(ours.canonical()).unwrap(), String::from_utf8(theirs).unwrap());
        let mut through_serde = Vec::new();
        write_canonical_json(&json, &mut through_serde);
        prop_assert_eq!(&through_serde, &ours.canonical());
        let straight = canonical_without(&ours, "(no key)").unwrap();
        prop_assert_eq!(String::from_utf8(straight).unwrap(), String::from_utf8(through_serde).unwrap());
    }

    #[test]
    fn canonical_form_reads_back_as_itself(json in any_json()) {
        let ours = Value::parse(&serde_json::to_vec(&json).unwrap()).unwrap();
        let again = Value::parse(&ours.canonical()).unwrap();
        prop_assert_eq!(again.canonical(), ours.canonical());
        prop_assert_eq!(&again, &ours);
    }

    #[test]
    fn storing_and_reading_changes_no_bit(float in fraction()) {
        let stored = serde_json::to_string(&Value::from_f64(float).unwrap()).unwrap();
        let read: Value = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(read, Value::from_f64(float).unwrap());
    }

    #[test]
    fn two_different_integers_never_share_a_digest(a in any::<i64>(), b in any::<i64>()) {
        prop_assert_eq!(a == b, Value::Int(a).digest() == Value::Int(b).digest());
    }

    #[test]
    fn neighbours_beyond_two_to_the_53_never_collapse(base in SAFE_INTEGER_MAX - 3..i64::MAX - 1) {
        prop_assert_ne!(Value::Int(base).digest(), Value::Int(base + 1).digest());
        prop_assert_ne!(Value::Int(-base).digest(), Value::Int(-base - 1).digest());
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Value::parse(&bytes);
    }
}

#[test]
fn the_edges_of_exact_integers() {
    let written = |json: &str| Value::parse(json.as_bytes()).map(|value| value.to_string());
    assert_eq!(written("9007199254740991").unwrap(), "9007199254740991");
    assert_eq!(written("-0").unwrap(), "0");
    assert_eq!(written("0.1").unwrap(), "0.1");
    let kept = [
        "1.0",
        "-0.0",
        "9007199254740992",
        "-9007199254740993",
        "9007199254740993.0",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775809",
        "1e20",
        "1e400",
        "12345678.12345678901",
    ];
    for text in kept {
        assert_eq!(written(text).unwrap(), text);
    }
    for lost in ["1e99999999999", "NaN", "Infinity", "01", "1.", ".5", "+1"] {
        assert!(matches!(Value::parse(lost.as_bytes()), Err(ValueError::Json(_))), "{lost} was accepted");
    }
    // What carries digits in a history is no key of anybody else's.
    for reserved in ["{\"$number\": \"1.50\"}", "[{\"\\u0024number\": \"1.50\"}, 2.50]"] {
        assert!(
            matches!(Value::parse(reserved.as_bytes()), Err(ValueError::Json(_))),
            "{reserved} was accepted"
        );
    }
    assert_eq!(Value::from_f64(f64::NAN), Err(ValueError::NotFinite));
    assert!(matches!(Value::from_f64(1e20), Err(ValueError::Inexact(_))));
}

#[test]
fn unsigned_sequences_never_collapse_in_hashes() {
    let written = |number: u64| {
        let mut out = Vec::new();
        write_canonical_json(&Json::from(number), &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(written(u64::MAX), "\"18446744073709551615\"");
    assert_eq!(written(u64::MAX - 1), "\"18446744073709551614\"");
}

#[test]
fn duplicate_keys_and_deep_nesting_are_refused() {
    let error = Value::parse(br#"{"a": 1, "b": {"c": 1, "c": 2}}"#).unwrap_err();
    assert!(error.to_string().contains("duplicate key \"c\""), "{error}");
    // The same key in another spelling is the same key.
    assert!(Value::parse(br#"{"a": 1, "\u0061": 2}"#).is_err());
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(Value::parse(nested(120).as_bytes()).is_ok());
    assert!(Value::parse(nested(129).as_bytes()).is_err());
    assert!(Value::parse(nested(10_000).as_bytes()).is_err());
    assert!(Value::parse(b"{} {}").is_err());
}

#[test]
fn keys_sort_by_utf16_units() {
    let json = "{\"\u{FB33}\":1,\"\u{1F600}\":2,\"a\":3}";
    assert_eq!(
        Value::parse(json.as_bytes()).unwrap().to_string(),
        "{\"a\":3,\"\u{1F600}\":2,\"\u{FB33}\":1}"
    );
}

#[test]
fn the_digest_of_pairs_is_the_digest_of_the_object() {
    let value = Value::parse(r#"{"a": "x", "é": [1, 2.5, null], "😀": {"k": true}}"#.as_bytes()).unwrap();
    let Value::Object(map) = &value else { panic!("an object") };
    assert_eq!(Digest::of_pairs(map.iter().map(|(key, value)| (key.as_str(), value))), value.digest());
}

#[test]
fn a_digest_has_one_spelling() {
    let digest = Digest::of(b"x");
    assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
    assert!(digest.to_string().to_uppercase().parse::<Digest>().is_err());
    assert!("+f".repeat(32).parse::<Digest>().is_err());
    assert!("zz".repeat(32).parse::<Digest>().is_err());
    assert!("ab".parse::<Digest>().is_err());
}

/// Every shape that a derived serialisation may take.
#[derive(serde::Serialize)]
enum Shape {
    Unit,
    One(u8),
    Two(i16, f32),
    Named { z: Option<bool>, a: (u64, char), é: () },
}

#[derive(serde::Serialize)]
struct Shapes {
    z: Vec<Shape>,
    hash: u8,
    inner: std::collections::BTreeMap<String, Inner>,
    #[serde(flatten)]
    flat: Inner,
}

#[derive(serde::Serialize, Clone)]
struct Inner {
    hash: &'static str,
    b: i64,
}

#[test]
fn the_straight_way_equals_the_way_through_a_tree() {
    let inner = Inner { hash: "inner", b: i64::MIN };
    let shapes = Shapes {
        z: vec![
            Shape::Unit,
            Shape::One(1),
            Shape::Two(-2, 0.5),
            Shape::Named { z: None, a: (u64::MAX, '"'), é: () },
        ],
        hash: 9,
        inner: [("😀", inner.clone()), ("\u{FB33}", inner.clone())]
            .map(|(key, value)| (key.to_owned(), value))
            .into(),
        flat: Inner { hash: "outer", ..inner },
    };
    let Json::Object(mut tree) = serde_json::to_value(&shapes).unwrap() else { panic!("an object") };
    tree.remove("hash");
    let mut expected = Vec::new();
    write_canonical_json(&Json::Object(tree), &mut expected);
    let straight = canonical_without(&shapes, "hash").unwrap();
    assert_eq!(String::from_utf8(straight).unwrap(), String::from_utf8(expected).unwrap());
    let numbered = std::collections::BTreeMap::from([(1, 2)]);
    assert!(canonical_without(&numbered, "").is_err(), "a key that is no text");
}
