//! The JSON Schema of the configuration: it describes every key, and it accepts what `avowal check` accepts.

mod reference;

use crate::bench::Bench;
use crate::configuration::GOOD;
use serde_json::{Value, json};
use std::path::PathBuf;

/// What `avowal schema` prints.
fn schema() -> Value {
    let ended = Bench::new().avowal(&["schema"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    serde_json::from_str(&ended.out).unwrap()
}

/// A configuration as the schema sees it.
fn toml(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Value>(text).unwrap()).unwrap()
}

/// What the schema says against a configuration, one line for each error.
fn errors(configuration: &str) -> Vec<String> {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let configuration = toml(configuration);
    validator.iter_errors(&configuration).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Compares a generated document with the one in the repository; `UPDATE_DOCS=1` writes it instead.
fn assert_fresh(path: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(text.lines()).position(|(found, made)| found != made);
    assert!(
        found == text,
        "{} is not what the configuration's structs say now, from line {} on. Write it anew with UPDATE_DOCS=1",
        path.display(),
        differs.map_or(found.lines().count().min(text.lines().count()), |at| at) + 1
    );
}

#[test]
fn the_schema_in_the_repository_is_fresh() {
    assert_fresh("docs/avowal.schema.json", &(serde_json::to_string_pretty(&schema()).unwrap() + "\n"));
}

#[test]
fn the_reference_in_the_guide_is_fresh() {
    assert_fresh("docs/guide/src/reference.md", &reference::page(&schema()));
}

#[test]
fn the_schema_accepts_every_example() {
    let init = Bench::new();
    assert_eq!(init.avowal(&["init"]).code, 0);
    let written = std::fs::read_to_string(init.path("avowal.toml")).unwrap();
    for configuration in [
        include_str!("../../../../examples/quickstart/avowal.toml"),
        include_str!("../../../../examples/pocketbase/avowal.toml"),
        include_str!("../../../../examples/pocketbase/pair.toml"),
        include_str!("../../../../examples/kinto/avowal.toml"),
        include_str!("../../../../examples/directus/avowal.toml"),
        include_str!("../../../../examples/localstripe/avowal.toml"),
        include_str!("simulate/every_type.toml"),
        GOOD,
        &written,
    ] {
        assert_eq!(errors(configuration), Vec::<String>::new(), "{configuration}");
    }
}

#[test]
fn the_schema_refuses_what_check_refuses_for_its_form() {
    for (from, to) in [
        ("[store]", "[stor]"),
        ("local = true", "locale = true"),
        ("local = true", "local = \"yes\""),
        ("connector = \"sqlite\"", "connector = \"sqllite\""),
        ("connector = \"sqlite\"\n", ""),
        ("local = true", "webhook = { secrets = [\"env:A\"] }"),
        ("local = true", "poll_ms = 1"),
        ("local = true", "timeout_ms = 1000"),
        ("match_on = [\"email\"]", "match_on = \"email\""),
        ("owner = \"app\"", "onwer = \"app\""),
        ("local_wins", "newest"),
        ("id = \"id\"\n", ""),
        ("[store]", "[settings]\nbatch = 5000\n[store]"),
        ("{ name = \"labels\" }", "{ name = \"labels\", readonly = true }"),
    ] {
        let broken = GOOD.replacen(from, to, 1);
        assert_ne!(broken, GOOD);
        assert!(!errors(&broken).is_empty(), "{to}");
        let ended = Bench::with(&broken).avowal(&["check", "--offline"]);
        assert_eq!(ended.code, 2, "{to}: {}", ended.out);
    }
}

#[test]
fn every_key_is_described_and_has_an_example_that_fits() {
    let schema = schema();
    let mut keys = Vec::new();
    collect_keys(&schema, "", &mut keys);
    assert!(keys.len() > 80, "{}", keys.len());
    for (place, key) in keys {
        let described = key["description"].as_str().is_some_and(|text| text.len() > 10);
        let described = described || key["const"].is_string() || is_alternative(&schema, &place);
        assert!(described, "{place} has no description");
        // The sections of the file are shown by the keys in them.
        if place.matches("/properties/").count() == 1 && place.starts_with("/properties/") {
            continue;
        }
        let examples = key["examples"].as_array().cloned().unwrap_or_default();
        let holds_tables = place.ends_with("/properties/fields") || place.ends_with("/properties/systems");
        let names_itself =
            key["const"].is_string() || is_connector_table(key) || is_alternative(&schema, &place);
        assert!(!examples.is_empty() || holds_tables || names_itself, "{place} has no example");
        let mut alone = key.clone();
        alone["$defs"] = schema["$defs"].clone();
        let validator = jsonschema::draft202012::new(&alone).unwrap();
        for example in examples.iter().chain(key.get("default")) {
            assert!(validator.is_valid(example), "{place}: {example} does not fit");
        }
    }
}

/// The table of a connector in a mapping; its keys have the examples.
fn is_connector_table(key: &Value) -> bool {
    key["description"].as_str().is_some_and(|text| text.starts_with("Only for systems with `connector"))
}

/// A key that is one alternative of its table, where the alternative has the description and the example.
fn is_alternative(schema: &Value, place: &str) -> bool {
    let Some((table, _)) = place.rsplit_once("/properties/") else { return false };
    schema
        .pointer(table)
        .is_some_and(|table| table["examples"].is_array() && table["description"].is_string())
}

/// All keys in all tables of the schema, with their JSON pointers.
fn collect_keys<'s>(schema: &'s Value, at: &str, keys: &mut Vec<(String, &'s Value)>) {
    match schema {
        Value::Object(object) => {
            for (name, value) in object {
                let here = format!("{at}/{name}");
                match (name.as_str(), value) {
                    ("properties", Value::Object(properties)) => {
                        for (name, property) in properties {
                            let escaped = name.replace('~', "~0").replace('/', "~1");
                            keys.push((format!("{here}/{escaped}"), property));
                            collect_keys(property, &format!("{here}/{escaped}"), keys);
                        }
                    }
                    ("examples" | "default" | "const" | "enum", _) => {}
                    (_, value) => collect_keys(value, &here, keys),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect_keys(item, &format!("{at}/{index}"), keys);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_words_in_the_schema_are_those_that_the_rules_know() {
    let field = &schema()["$defs"]["FieldSpec"]["properties"];
    for (key, from, to) in [
        ("type", "type = \"string\"", "type = \"none of them\""),
        ("strategy", "strategy = \"local_wins\"", "strategy = \"none of them\""),
        ("merge", "merge = \"union\"", "merge = \"none of them\""),
    ] {
        let ended = Bench::with(&GOOD.replacen(from, to, 1)).avowal(&["check", "--offline"]);
        let words = field[key]["enum"].as_array().unwrap();
        let (_, cure) = ended.err.split_once("Use ").unwrap();
        let told: Vec<&str> =
            cure.trim_end().trim_end_matches('.').split(", ").flat_map(|part| part.split(" or ")).collect();
        let mut words: Vec<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
        let mut told_sorted = told.clone();
        words.sort_unstable();
        told_sorted.sort_unstable();
        assert_eq!(words, told_sorted, "{}", ended.err);
    }
    assert_eq!(schema()["$schema"], json!("https://json-schema.org/draft/2020-12/schema"));
}
