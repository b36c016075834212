//! CEL rules: bounded at load, and without a panic on anything.

use avowal_core::data::value::Value;
use avowal_core::policy::cel::Rule;
use proptest::prelude::*;

#[test]
fn a_rule_answers_or_says_why_not() {
    let rule = Rule::compile("value.matches('^[^@ ]+@[^@ ]+$')", &["value"]).unwrap();
    assert_eq!(rule.holds(&"a@b".into()), Ok(true));
    assert_eq!(rule.holds(&"a b".into()), Ok(false));
    assert!(rule.holds(&Value::Int(1)).is_err());
    let not_boolean = Rule::compile("value + 1", &["value"]).unwrap();
    assert!(not_boolean.holds(&Value::Int(1)).unwrap_err().to_string().contains("instead of true or false"));
}

#[test]
fn an_input_that_is_too_large_is_refused() {
    let rule = Rule::compile("size(value) > 0", &["value"]).unwrap();
    let large = Value::text("x".repeat(300 * 1024));
    assert!(rule.holds(&large).unwrap_err().to_string().contains("larger than"));
    let many = Value::List(vec![Value::Int(1); 100_000]);
    assert!(rule.holds(&many).is_err());
}

#[test]
fn deep_nesting_in_a_rule_is_refused_not_a_crash() {
    for nest in ["(", "[", "!", "-", "value.all(x, "] {
        let times = 2000 / nest.len();
        let _ = Rule::compile(&nest.repeat(times), &["value"]);
    }
    let closed = "(".repeat(1000) + "value" + &")".repeat(1000);
    let _ = Rule::compile(&closed, &["value"]);
    let chain = vec!["value"; 300].join("+");
    let _ = Rule::compile(&chain, &["value"]);
}

proptest! {
    #[test]
    fn hostile_sources_never_panic(source in "[ -~]{0,40}") {
        let _ = Rule::compile(&source, &["value"]);
    }
}

#[test]
fn comprehensions_bring_their_own_names_and_are_bounded() {
    let tags = Value::List(vec!["a".into(), "b".into()]);
    let rule =
        Rule::compile("value.all(tag, size(tag) < 3) && value.exists(tag, tag == 'a')", &["value"]).unwrap();
    assert_eq!(rule.holds(&tags), Ok(true));
    let merge = Rule::compile("local.filter(tag, tag in external)", &["local", "external", "base"]).unwrap();
    let kept = merge.value(&[
        ("local", &tags),
        ("external", &Value::List(vec!["b".into()])),
        ("base", &Value::Null),
    ]);
    assert_eq!(kept, Ok(Value::List(vec!["b".into()])));
    let problem = |source: &str| Rule::compile(source, &["value"]).unwrap_err().to_string();
    // A name ends with its comprehension.
    assert_eq!(problem("value.all(tag, tag != '') && tag == 'a'"), "the rule names `tag`; it may use value");
    assert_eq!(
        problem("value.all(a, value.all(b, value.all(c, a + b != c)))"),
        "the rule nests all, exists, map or filter deeper than 2"
    );
    assert_eq!(problem("now() > value"), "the rule calls `now`, which does not exist");
    assert_eq!(problem("value.matchs('x')"), "the rule calls `matchs`, which does not exist");
}

#[test]
fn the_standard_functions_are_known() {
    for source in [
        "value.contains('x')",
        "value.startsWith('x')",
        "value.endsWith('x')",
        "value.matches('x')",
        "size(value) > 1",
        "value.size() > 1",
        "int(value) > 1",
        "double(value) > 1.0",
        "string(value) == ''",
        "value in ['a', 'b']",
        "value == null || value > 3",
        "has(value.street)",
        "!(value == 'x')",
        "value[0] == 1",
    ] {
        Rule::compile(source, &["value"]).unwrap_or_else(|error| panic!("{source}: {error}"));
    }
}

#[test]
fn a_merge_expression_may_answer_with_an_object() {
    let rule = Rule::compile("base == null ? local : external", &["local", "external", "base"]).unwrap();
    let local = Value::parse(br#"{"city": "Bonn", "lines": [1, {"x": null}]}"#).unwrap();
    let kept = rule.value(&[("local", &local), ("external", &Value::Null), ("base", &Value::Null)]);
    assert_eq!(kept, Ok(local));
}
