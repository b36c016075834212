//! Raw values become canonical ones, in one form each, or are refused with a reason.

use avowal_core::data::value::Value;
use avowal_core::policy::schema::FieldType;
use proptest::prelude::*;

fn types() -> Vec<FieldType> {
    let values = ["lead", "qualified"].map(String::from).to_vec();
    vec![
        FieldType::String,
        FieldType::Integer,
        FieldType::Decimal,
        FieldType::Boolean,
        FieldType::Date,
        FieldType::Timestamp,
        FieldType::Enum { values },
        FieldType::Set,
        FieldType::List,
        FieldType::Object,
        FieldType::Ref { entity: "company".into() },
    ]
}

fn json(text: &str) -> Value {
    Value::parse(text.as_bytes()).unwrap()
}

/// What becomes of raw JSON; `✗ why` where it is refused.
fn accepted(field_type: &FieldType, raw: &str, zone_utc: bool) -> String {
    match field_type.accept(&json(raw), zone_utc) {
        Ok(value) => value.to_string(),
        Err(error) => format!("✗ {error}"),
    }
}

fn check(field_type: &FieldType, table: &[(&str, &str)]) {
    for (raw, expected) in table {
        assert_eq!(accepted(field_type, raw, false), *expected, "{field_type} of {raw}");
    }
}

#[test]
fn integers() {
    check(
        &FieldType::Integer,
        &[
            ("1", "1"),
            ("1.0", "1"),
            ("\" 007 \"", "7"),
            ("\"+5\"", "5"),
            ("\"-0\"", "0"),
            ("9007199254740991", "9007199254740991"),
            ("9007199254740992", "\"9007199254740992\""),
            ("\"9007199254740993\"", "\"9007199254740993\""),
            ("-9007199254740993", "\"-9007199254740993\""),
            ("\"123456789012345678901234567890\"", "\"123456789012345678901234567890\""),
            ("1.5", "✗ 1.5 is not an integer"),
            ("\"1.0\"", "✗ \"1.0\" is not an integer"),
            ("\"\"", "✗ \"\" is not an integer"),
            ("\"-\"", "✗ \"-\" is not an integer"),
            ("true", "✗ true is not an integer"),
            ("[1]", "✗ [1] is not an integer"),
        ],
    );
}

#[test]
fn one_number_in_two_spellings_is_one_value() {
    let big = FieldType::Integer;
    assert_eq!(accepted(&big, "9007199254740993", false), accepted(&big, "\"9007199254740993\"", false));
    assert_eq!(big.export(&json("\"9007199254740993\"")), Value::Int(9_007_199_254_740_993));
    let beyond = json("\"123456789012345678901234567890\"");
    assert_eq!(big.export(&beyond), beyond);
}

#[test]
fn decimals() {
    check(
        &FieldType::Decimal,
        &[
            ("1", "\"1\""),
            ("1.50", "\"1.5\""),
            ("\"1.50\"", "\"1.5\""),
            ("\"-0.00\"", "\"0\""),
            ("\"1e3\"", "\"1000\""),
            ("1e-7", "\"0.0000001\""),
            ("\"79228162514264337593543950335\"", "\"79228162514264337593543950335\""),
            ("\"0.1234567890123456789012345678\"", "\"0.1234567890123456789012345678\""),
            (
                "\"0.12345678901234567890123456789\"",
                "✗ \"0.12345678901234567890123456789\" is not a decimal; at most 28 digits are exact",
            ),
            (
                "\"1.00000000000000000000000000001e1\"",
                "✗ \"1.00000000000000000000000000001e1\" is not a decimal; at most 28 digits are exact",
            ),
            ("\"1e-30\"", "✗ \"1e-30\" is not a decimal; at most 28 digits are exact"),
            ("\"1e99\"", "✗ \"1e99\" is not a decimal; at most 28 digits are exact"),
            ("\"12,5\"", "✗ \"12,5\" is not a decimal; at most 28 digits are exact"),
            ("true", "✗ true is not a decimal"),
        ],
    );
}

#[test]
fn booleans_dates_and_enums() {
    check(
        &FieldType::Boolean,
        &[
            ("true", "true"),
            ("1", "true"),
            ("\"f\"", "false"),
            ("2", "✗ 2 is not a boolean"),
            ("\"yes\"", "✗ \"yes\" is not a boolean"),
        ],
    );
    check(
        &FieldType::Date,
        &[
            ("\"2026-02-28\"", "\"2026-02-28\""),
            ("\" 2026-02-28 \"", "\"2026-02-28\""),
            ("\"2026-02-30\"", "✗ \"2026-02-30\" is not a date (YYYY-MM-DD)"),
            ("\"2026-02-28T10:00:00Z\"", "✗ \"2026-02-28T10:00:00Z\" is not a date (YYYY-MM-DD)"),
            ("20260228", "✗ 20260228 is not a date (YYYY-MM-DD)"),
        ],
    );
    let values = ["lead", "qualified"].map(String::from).to_vec();
    check(
        &FieldType::Enum { values },
        &[
            ("\"lead\"", "\"lead\""),
            ("\"Lead\"", "✗ \"Lead\" is not one of lead, qualified"),
            ("1", "✗ 1 is not one of lead, qualified"),
        ],
    );
}

#[test]
fn timestamps_in_every_spelling() {
    check(
        &FieldType::Timestamp,
        &[
            ("\"2026-01-01T10:00:00Z\"", "\"2026-01-01T10:00:00Z\""),
            ("\"2026-01-01 10:00:00+00\"", "\"2026-01-01T10:00:00Z\""),
            ("\"2026-01-01 10:00:00.123Z\"", "\"2026-01-01T10:00:00.123Z\""),
            ("\"2026-01-01 10:00:00.120+00:00\"", "\"2026-01-01T10:00:00.12Z\""),
            ("\"2026-01-01T12:00:00+02:00\"", "\"2026-01-01T10:00:00Z\""),
            ("\"2026-01-01 15:30:00+0530\"", "\"2026-01-01T10:00:00Z\""),
            (
                "\"2026-01-01 10:00:00\"",
                "✗ \"2026-01-01 10:00:00\" is not a timestamp (RFC 3339); it has no offset: declare `zone = \"UTC\"` in the column's mapping",
            ),
            ("\"yesterday\"", "✗ \"yesterday\" is not a timestamp (RFC 3339)"),
            ("1767261600", "✗ 1767261600 is not a timestamp (RFC 3339)"),
        ],
    );
    assert_eq!(
        accepted(&FieldType::Timestamp, "\"2026-01-01 10:00:00.5\"", true),
        "\"2026-01-01T10:00:00.5Z\""
    );
    // A declared zone does not overrule an offset that is there.
    assert_eq!(
        accepted(&FieldType::Timestamp, "\"2026-01-01 12:00:00+02\"", true),
        "\"2026-01-01T10:00:00Z\""
    );
}

#[test]
fn sets_lists_and_objects() {
    check(
        &FieldType::Set,
        &[
            ("[\"b\", \"a\", \"b\"]", "[\"a\",\"b\"]"),
            ("\"[\\\"b\\\", \\\"a\\\"]\"", "[\"a\",\"b\"]"),
            ("[]", "[]"),
            ("[1, 1.0, true, 0.5]", "[true,1,0.5]"),
            ("[null]", "✗ [null] is not a set of scalars"),
            ("[[1]]", "✗ [[1]] is not a set of scalars"),
            ("{}", "✗ {} is not a set of scalars"),
            ("[9007199254740993, 9007199254740993.0]", "[9007199254740993]"),
        ],
    );
    check(&FieldType::List, &[("[2, 1, 2]", "[2,1,2]"), ("\"[1]\"", "[1]"), ("{}", "✗ {} is not a list")]);
    check(
        &FieldType::Object,
        &[
            ("{\"b\": 1, \"a\": null}", "{\"a\":null,\"b\":1}"),
            ("{\"b\": 1.50, \"a\": [9007199254740993]}", "{\"a\":[9007199254740993],\"b\":1.50}"),
            ("\"{\\\"n\\\":12345678901234567890}\"", "{\"n\":12345678901234567890}"),
            ("[]", "✗ [] is not an object"),
        ],
    );
    let broken = accepted(&FieldType::List, "\"[1\"", false);
    assert!(broken.starts_with("✗ \"[1\" is not a list; not acceptable JSON"), "{broken}");
}

#[test]
fn strings_and_references() {
    check(
        &FieldType::String,
        &[("\" x \"", "\" x \""), ("5", "\"5\""), ("0.5", "\"0.5\""), ("true", "✗ true is not a string")],
    );
    let company = FieldType::Ref { entity: "company".into() };
    check(&company, &[("\"r7\"", "\"r7\""), ("7", "\"7\""), ("0.5", "✗ 0.5 is not a reference to company")]);
}

#[test]
fn an_error_repeats_only_the_beginning_of_a_value() {
    let long = format!("\"{}\"", "x".repeat(5000));
    let error = accepted(&FieldType::Integer, &long, false);
    assert!(error.len() < 120, "{error}");
}

fn any_raw() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>(),
        "[+-]?[0-9]{1,25}",
        "-?[0-9]{1,12}\\.[0-9]{1,12}",
        "-?[0-9]{1,3}(\\.[0-9]{1,3})?[eE]-?[0-9]{1,2}",
        "-?[0-9]{4}-[01][0-9]-[0-3][0-9]",
        "[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-][01][0-9](:?[0-5][0-9])?)?",
        "\\[[0-9,\" a]{0,8}\\]",
        Just("lead".to_owned()),
        Just("t".to_owned()),
    ];
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter_map("exact", |float| Value::from_f64(float).ok()),
        text.prop_map(Value::from_text),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(Value::Object),
        ]
    })
}

/// A short name for tables of strategies.
trait FromText {
    fn from_text(text: String) -> Value;
}

impl FromText for Value {
    fn from_text(text: String) -> Value {
        Value::text(text)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn a_canonical_value_is_accepted_unchanged(raw in any_raw(), zone_utc in any::<bool>()) {
        for field_type in types() {
            let Ok(once) = field_type.accept(&raw, zone_utc) else { continue };
            // What is canonical needs no hints any more.
            prop_assert_eq!(field_type.accept(&once, false), Ok(once.clone()), "{}", field_type);
            // What goes out comes back as the same value.
            prop_assert_eq!(field_type.accept(&field_type.export(&once), false), Ok(once.clone()), "{}", field_type);
            // What is stored is read back as the same value.
            let read: Value = serde_json::from_str(&serde_json::to_string(&once).unwrap()).unwrap();
            prop_assert_eq!(read.digest(), once.digest());
        }
    }
}
