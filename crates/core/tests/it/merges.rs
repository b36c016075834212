//! Merges of changes that did not see each other: what is kept, and when a person is asked instead.

use crate::world::{World, shows};
use avowal_core::explain::review_words;
use avowal_core::record::reason::ReviewReason;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// Both hold `base`; app changes it to `local`, crm to `external`, unseen by each other. The belief after that; `?`
/// where a person is asked.
fn merged(field: &Json, base: &Json, local: &Json, external: &Json) -> String {
    let mut rules = json!({"systems": {"app": {"local": true, "nulls": "clear"}, "crm": {"nulls": "clear"}}, "fields": {"f": field}});
    rules["fields"]["f"]["owner"] = json!("shared");
    rules["fields"]["f"]["strategy"] = json!("merge");
    let mut world = World::new(&rules);
    world.see(shows("app", &json!({"f": base})));
    world.drain();
    world.see(shows("app", &json!({"f": local})));
    world.see(shows("crm", &json!({"f": external})));
    if world.record.is_contested(&"f".into()) {
        return format!("? {}", review_words(&world.review("f").reason, &"f".into()));
    }
    world.drain();
    assert_eq!(world.content("app", "f"), world.content("crm", "f"), "both hold what was merged");
    world.belief("f")
}

#[test]
fn every_merge() {
    let set = json!({"type": "set", "merge": "union"});
    let sum = json!({"type": "integer", "merge": "delta", "valid": "value <= 100"});
    let money = json!({"type": "decimal", "merge": "delta"});
    let max = json!({"type": "integer", "merge": "max"});
    let min_date = json!({"type": "date", "merge": "min"});
    let max_time = json!({"type": "timestamp", "merge": "max"});
    let text = json!({"type": "string", "merge": "text"});
    let joined = json!({"type": "string", "merge": "expression", "expression": "local + ' / ' + external"});
    let broken = json!({"type": "integer", "merge": "expression", "expression": "local / 0"});
    for (field, base, local, external, wanted) in [
        (&set, json!(["a", "b"]), json!(["a", "b", "c"]), json!(["b", "d"]), "[\"b\",\"c\",\"d\"]"),
        (&set, json!(["a"]), json!([]), json!(["a", "b"]), "[\"b\"]"),
        (&sum, json!(10), json!(15), json!(7), "12"),
        (
            &sum,
            json!(10),
            json!(60),
            json!(70),
            "? merge by delta: the differences of both sides are added up, but 120 is not allowed: the value does not satisfy value <= 100",
        ),
        (
            &sum,
            json!(10),
            json!(15),
            json!(null),
            "? nothing proves which change is newer, and no precedence is declared between the two",
        ),
        (&money, json!("0.10"), json!("0.30"), json!("0.05"), "\"0.25\""),
        (
            &money,
            json!("79228162514264337593543950334"),
            json!("79228162514264337593543950335"),
            json!("79228162514264337593543950335"),
            "? the sum is outside what the field can hold",
        ),
        (&sum, json!(100), json!(97), json!(97), "94"),
        (&money, json!("1.50"), json!("1.25"), json!("1.250"), "\"1\""),
        (&set, json!(["a"]), json!(["a", "b"]), json!(["a", "b"]), "[\"a\",\"b\"]"),
        (&text, json!("a\n"), json!("a\nb\n"), json!("a\nb\n"), "\"a\\nb\\n\""),
        (&max, json!(1), json!(5), json!(5), "5"),
        (&joined, json!("x"), json!("y"), json!("y"), "\"y\""),
        (&max, json!(1), json!(5), json!(3), "5"),
        (&max, json!(1), json!(3), json!(5), "5"),
        (&max, json!(1), json!(3), json!(null), "3"),
        (&min_date, json!("2026-05-05"), json!("2026-04-01"), json!("2026-06-01"), "\"2026-04-01\""),
        (
            &max_time,
            json!("2026-01-01T00:00:00Z"),
            json!("2026-01-02T00:00:00Z"),
            json!("2026-01-02T00:00:00.5Z"),
            "\"2026-01-02T00:00:00.5Z\"",
        ),
        (&text, json!("a\nb\nc\n"), json!("A\nb\nc\n"), json!("a\nb\nC\n"), "\"A\\nb\\nC\\n\""),
        (&text, json!("a\n"), json!("b\n"), json!("c\n"), "? both sides edited the same lines"),
        (&joined, json!("x"), json!("l"), json!("e"), "\"l / e\""),
    ] {
        assert_eq!(merged(field, &base, &local, &external), wanted, "{field} {base} {local} {external}");
    }
    let asked = merged(&broken, &json!(1), &json!(2), &json!(3));
    assert!(asked.starts_with("? the merge expression could not be evaluated: "), "{asked}");
}

/// Two populated copies that are linked for the first time have no base.
#[test]
fn merges_without_a_base() {
    let first = |field: Json| {
        let mut field = field;
        field["owner"] = json!("shared");
        field["strategy"] = json!("merge");
        let (local, external) = match field["type"].as_str().unwrap() {
            "set" => (json!(["a"]), json!(["b"])),
            "string" => (json!("a"), json!("b")),
            _ => (json!(1), json!(2)),
        };
        let mut world = World::new(
            &json!({"systems": {"app": {"local": true}, "crm": {"create": false}}, "fields": {"f": field}}),
        );
        world.see(shows("app", &json!({"f": local})));
        world.see(shows("crm", &json!({"f": external})));
        if world.record.is_contested(&"f".into()) { "?".to_owned() } else { world.belief("f") }
    };
    assert_eq!(first(json!({"type": "set", "merge": "union"})), "[\"a\",\"b\"]");
    assert_eq!(first(json!({"type": "integer", "merge": "delta"})), "?");
    assert_eq!(first(json!({"type": "integer", "merge": "delta", "precedence": ["crm", "app"]})), "2");
    assert_eq!(first(json!({"type": "integer", "merge": "max"})), "2");
    assert_eq!(first(json!({"type": "string", "merge": "text"})), "?");
    assert_eq!(
        first(
            json!({"type": "integer", "merge": "expression", "expression": "base == null ? local : external"})
        ),
        "1"
    );
}

fn sums(systems: &Json) -> World {
    World::new(&json!({
        "systems": systems,
        "fields": {"f": {"type": "integer", "owner": "shared", "strategy": "merge", "merge": "delta"}},
    }))
}

/// Our own echo, a second read, a crash in between and the first link never count twice.
#[test]
fn an_equal_number_that_may_be_our_own_is_no_second_change() {
    let mut world = sums(&json!({"app": {"local": true}, "crm": {}}));
    // The first link: both were counted by themselves, and nothing tells from where.
    world.see(shows("app", &json!({"f": 100})));
    world.see(shows("crm", &json!({"f": 100})));
    world.drain();
    assert_eq!(world.belief("f"), "100");
    // Sent, and the answer is lost: what stands there then is presumed to be ours.
    world.see(shows("app", &json!({"f": 97})));
    world.send("crm");
    world.see(shows("crm", &json!({"f": 97})));
    world.see(shows("crm", &json!({"f": 97})));
    assert_eq!(world.belief("f"), "97");
    // Sent, said to have had no effect, and shown all the same.
    world.see(shows("app", &json!({"f": 90})));
    world.send("crm");
    world.fail("crm", avowal_core::history::Failure::Retry);
    world.see(shows("crm", &json!({"f": 90})));
    world.drain();
    world.see(shows("crm", &json!({"f": 90})));
    assert_eq!(world.belief("f"), "90");
    // Nothing was sent: the second side has taken as much.
    world.see(shows("app", &json!({"f": 80})));
    world.see(shows("crm", &json!({"f": 80})));
    world.see(shows("crm", &json!({"f": 80})));
    world.see(shows("app", &json!({"f": 80})));
    assert_eq!(world.belief("f"), "70");
    // In a log that names our writes, a change without a name is not ours, even while the same number is on its way.
    world.drain();
    world.see(shows("app", &json!({"f": 60})));
    world.send("crm");
    world.see(shows("crm", &json!({"f": 60})).log());
    assert_eq!(world.belief("f"), "50");
    world.fail("crm", avowal_core::history::Failure::Conflict);
    world.drain();
    assert_eq!((world.content("app", "f").as_str(), world.content("crm", "f").as_str()), ("50", "50"));
}

/// Nothing tells whether their number already holds ours: a sum would be a guess.
#[test]
fn a_sum_is_never_guessed() {
    let mut world = World::new(&json!({
        "systems": {"app": {"local": true}, "crm": {}},
        "fields": {"f": {"type": "integer", "owner": "shared", "strategy": "merge", "merge": "delta", "precedence": ["app", "crm"]}},
    }));
    world.see(shows("app", &json!({"f": 10})));
    world.drain();
    world.see(shows("app", &json!({"f": 15})));
    world.send("crm");
    world.see_twice(shows("crm", &json!({"f": 17})));
    assert_eq!(world.belief("f"), "15");
    assert_eq!(world.review("f").reason, ReviewReason::SumUncertain);
}

#[test]
fn a_merged_text_is_normalised() {
    let field = json!({"type": "string", "merge": "text", "normalize": ["trim"]});
    assert_eq!(merged(&field, &json!("a\nb\nc"), &json!("A\nb\nc"), &json!("a\nb\nC\n")), "\"A\\nb\\nC\"");
}

/// Three systems count at once, in any order of sight: nothing is lost and nothing is counted twice.
fn counted(order: &[usize], deltas: &[i64; 3]) -> String {
    let systems = ["app", "crm", "erp"];
    let mut world = World::new(&json!({
        "systems": {"app": {"local": true}, "crm": {}, "erp": {}},
        "fields": {"f": {"type": "integer", "owner": "shared", "strategy": "merge", "merge": "delta"}},
    }));
    world.see(shows("app", &json!({"f": 1000})));
    world.drain();
    for at in order {
        let shown = 1000 + deltas[*at];
        world.see(shows(systems[*at], &json!({"f": shown})));
    }
    world.drain();
    world.belief("f")
}

fn any_set() -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set("[a-e]", 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sums_of_distinct_changes_commute(order in Just(vec![0usize, 1, 2]).prop_shuffle(), deltas in prop::array::uniform3(1..50i64)) {
        // Two equal numbers may be one change seen twice or two; agreement takes them for one.
        prop_assume!(deltas[0] != deltas[1] && deltas[1] != deltas[2] && deltas[0] != deltas[2]);
        prop_assume!(deltas[order[0]] + deltas[order[1]] != deltas[order[2]]);
        prop_assert_eq!(counted(&order, &deltas), (1000 + deltas.iter().sum::<i64>()).to_string());
    }

    #[test]
    fn union_keeps_additions_and_removals_of_both(base in any_set(), local in any_set(), external in any_set()) {
        let field = json!({"type": "set", "merge": "union"});
        let wanted: BTreeSet<_> = local
            .iter()
            .filter(|item| !base.contains(*item) || external.contains(*item))
            .chain(external.iter().filter(|item| !base.contains(*item)))
            .cloned()
            .collect();
        // Where one side did not change there is no merge, and the rule gives the other side's value.
        let wanted = json!(wanted).to_string();
        prop_assert_eq!(merged(&field, &json!(base), &json!(local), &json!(external)), wanted);
    }
}
