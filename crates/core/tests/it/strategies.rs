//! The list of strategies: every one can be chosen, is said in a sentence, and stands in the guide.

#![allow(clippy::disallowed_methods, reason = "the printed table is a file beside the code")]

use avowal_core::policy::schema::FieldType;
use avowal_core::{
    DomainResolution, DomainResolver, DomainRules, FieldConflict, Strategy, StrategyDeclaration, StrategyKey,
    field_sentence,
};
use avowal_testpolicy::spec;
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// Keeps the belief.
struct Keeps;

impl DomainResolver for Keeps {
    fn name(&self) -> &str {
        "keeps"
    }
    fn version(&self) -> u32 {
        1
    }
    fn resolve(&self, _: &FieldConflict<'_>) -> DomainResolution {
        DomainResolution::Local
    }
}

/// A type that the strategy can carry, by its word in the configuration.
fn fitting_type(declared: &StrategyDeclaration) -> &'static str {
    let types = [
        ("string", FieldType::String),
        ("integer", FieldType::Integer),
        ("set", FieldType::Set),
        ("list", FieldType::List),
    ];
    types.iter().find(|(_, field_type)| (declared.fits)(field_type)).unwrap().0
}

#[test]
fn every_strategy_can_be_chosen_and_said() {
    let mut sentences = BTreeSet::new();
    for declared in Strategy::ALL {
        let (strategy, merge) = match declared.key {
            StrategyKey::Strategy => (declared.word, None),
            StrategyKey::Merge => ("merge", Some(declared.word)),
        };
        let rules = json!({
            "systems": {"app": {"local": true}, "crm": {}},
            "fields": {"f": {
                "type": fitting_type(declared),
                "owner": if declared.needs_owner { "app" } else { "shared" },
                "strategy": strategy,
                "merge": merge,
                "expression": (declared.word == "expression").then_some("local"),
                "resolver": (declared.word == "resolver").then_some("keeps"),
            }},
        });
        let (spec, systems) = spec(&rules);
        let domain = DomainRules::new().resolver(Keeps);
        let built =
            spec.build_with(&"customer".into(), &systems, &BTreeSet::from(["customer".into()]), &domain);
        let policy = built.unwrap_or_else(|holes| panic!("{}: {holes:?}", declared.word));
        // The strategy that was built is the one that was written.
        assert_eq!(policy.fields["f"].strategy.declaration().written(), declared.written());
        sentences.insert(field_sentence(&policy, &"f".into()).unwrap());
    }
    assert_eq!(sentences.len(), Strategy::ALL.len(), "each has a sentence of its own: {sentences:#?}");
}

/// The page of the guide, as the declarations say.
fn page() -> String {
    let mut out = String::from(
        "# Strategies\n\n\
         <!-- Written by a test from `crates/core/src/policy/strategy.rs`: UPDATE_DOCS=1 cargo nextest run -p avowal-core strategies -->\n\n\
         A field's strategy decides about two changes that did not see each other and differ. Sequential changes need none: the\n\
         later one has seen the earlier one. Equal values need none either, because they are an agreement; only `delta` adds up equal\n\
         changes, too.\n\n\
         A change that loses stays in the history with the reason. When a person is asked, the field is written nowhere until the\n\
         answer; the record's other fields go on.\n\n\
         | in the configuration | what happens | needs | what can be lost |\n|---|---|---|---|\n",
    );
    for declared in Strategy::ALL {
        let (written, does) = (declared.written(), declared.does);
        let _ = writeln!(out, "| `{written}` | {does} | {} | {} |", declared.needs, declared.can_lose);
    }
    out += "\n`strategy = \"local_wins\"` and `strategy = \"external_wins\"` are spellings of `owner_wins`. They must agree with the owner: the\n\
            first one if the owner is the system with `local = true`, the second one otherwise. A field with an owner and no strategy\n\
            has `owner_wins`; a field with `resolver = \"NAME\"` and no strategy has `resolver` (see [Embedding](embedding.md)).\n\n\
            ## When two changes are the same\n\n\
            | strategy | equality |\n|---|---|\n";
    for declared in Strategy::ALL {
        let _ = writeln!(out, "| `{}` | {} |", declared.word, declared.equality);
    }
    out
}

#[test]
fn the_page_of_the_guide_says_what_is_declared() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/src/strategies.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let stands = std::fs::read_to_string(&path).unwrap();
    assert_eq!(stands, page(), "write it anew: UPDATE_DOCS=1 cargo nextest run -p avowal-core strategies");
}
