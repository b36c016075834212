//! Every strategy against every relation, role, answer to a refusal, and kind of value. The expected outcome comes
//! from `expected`, which restates the model and shares no code with the core.

use crate::world::{World, shows};
use serde_json::{Value as Json, json};

/// What `crm`, whose change is judged, is to the field.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Role {
    Owner,
    Proposer,
    Stranger,
    Writer,
}

/// How its change stands to the belief, which `app` made where there is one to cross.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Relation {
    First,
    Sequential,
    Concurrent,
    Indeterminate,
    Agreement,
}

/// The strategy with all that it may ask. Clocks: what crm's change is against app's, in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Plan {
    OwnerWins,
    Latest { precedence: &'static [&'static str], clocks: Clocks },
    Manual,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Clocks {
    None,
    Untrusted { later_ms: i64 },
    OneTrusted { later_ms: i64 },
    Trusted { later_ms: i64 },
}

const SKEW_MS: i64 = 100;

const PLANS: [Plan; 15] = [
    Plan::OwnerWins,
    Plan::Manual,
    Plan::Latest { precedence: &[], clocks: Clocks::None },
    Plan::Latest { precedence: &["app"], clocks: Clocks::None },
    Plan::Latest { precedence: &["app", "crm"], clocks: Clocks::None },
    Plan::Latest { precedence: &["crm", "app"], clocks: Clocks::None },
    Plan::Latest { precedence: &[], clocks: Clocks::Untrusted { later_ms: 9000 } },
    Plan::Latest { precedence: &["app", "crm"], clocks: Clocks::Untrusted { later_ms: 9000 } },
    Plan::Latest { precedence: &["app", "crm"], clocks: Clocks::OneTrusted { later_ms: 9000 } },
    Plan::Latest { precedence: &["app", "crm"], clocks: Clocks::Trusted { later_ms: 9000 } },
    Plan::Latest { precedence: &["crm", "app"], clocks: Clocks::Trusted { later_ms: -9000 } },
    Plan::Latest { precedence: &["crm", "app"], clocks: Clocks::Trusted { later_ms: 2 * SKEW_MS } },
    Plan::Latest { precedence: &["app", "crm"], clocks: Clocks::Trusted { later_ms: 2 * SKEW_MS + 1 } },
    Plan::Latest { precedence: &[], clocks: Clocks::Trusted { later_ms: 2 * SKEW_MS } },
    Plan::Latest { precedence: &[], clocks: Clocks::Trusted { later_ms: 0 } },
];

#[derive(Clone, Copy, PartialEq, Debug)]
enum Proposed {
    Valid,
    Invalid,
    Null { clears: bool },
}

#[derive(Clone, Copy, Debug)]
struct Case {
    role: Role,
    relation: Relation,
    plan: Plan,
    on_refused: &'static str,
    shown: Proposed,
}

/// What is there afterwards: the belief, whether a person is asked, what is planned for or in flight to crm, and what
/// is planned for app.
#[derive(Clone, PartialEq, Debug)]
struct After {
    belief: String,
    asked: bool,
    to_crm: String,
    to_app: String,
}

/// Who prevails where nobody has seen the other.
enum Prevails {
    Believed,
    Shown,
    Nobody,
}

fn expected(case: &Case) -> After {
    let believed = match case.relation {
        Relation::First => "-",
        Relation::Sequential => "\"1\"",
        Relation::Concurrent | Relation::Indeterminate | Relation::Agreement => "\"2\"",
    };
    let update = |value: &str| format!("update f={value}");
    // A change in flight stays until its outcome is known.
    let in_flight = case.relation == Relation::Indeterminate;
    let to_crm = |corrected: bool| match (in_flight, corrected) {
        (true, _) => update("\"2\""),
        (false, true) if believed != "-" => update(believed),
        (false, true | false) => String::new(),
    };
    let stays = |asked: bool, corrected: bool| After {
        belief: believed.to_owned(),
        asked,
        to_crm: to_crm(corrected),
        to_app: String::new(),
    };
    let becomes = |value: &str| After {
        belief: value.to_owned(),
        asked: false,
        to_crm: to_crm(false),
        to_app: if case.relation == Relation::First { format!("create f={value}") } else { update(value) },
    };
    let refused = || stays(case.on_refused == "review", case.on_refused == "revert");
    if case.relation == Relation::Agreement {
        return stays(false, false);
    }
    let value = match case.shown {
        // Where nothing was filled, an empty field says nothing.
        Proposed::Null { .. } if case.relation == Relation::First => return stays(false, false),
        Proposed::Null { clears: false } => return refused(),
        Proposed::Null { clears: true } => "null",
        Proposed::Invalid => return refused(),
        Proposed::Valid => "\"3\"",
    };
    if case.role == Role::Stranger {
        // At first sight the owner has no copy yet, and the stranger stands in for it.
        return if case.relation == Relation::First { becomes(value) } else { refused() };
    }
    if matches!(case.relation, Relation::First | Relation::Sequential) {
        return becomes(value);
    }
    let prevails = match case.plan {
        Plan::OwnerWins if case.role == Role::Owner => Prevails::Shown,
        Plan::OwnerWins => Prevails::Believed,
        Plan::Manual => Prevails::Nobody,
        Plan::Latest { clocks: Clocks::Trusted { later_ms }, .. } if later_ms > 2 * SKEW_MS => {
            Prevails::Shown
        }
        Plan::Latest { clocks: Clocks::Trusted { later_ms }, .. } if later_ms < -2 * SKEW_MS => {
            Prevails::Believed
        }
        Plan::Latest { precedence: ["app", "crm"], .. } => Prevails::Believed,
        Plan::Latest { precedence: ["crm", "app"], .. } => Prevails::Shown,
        Plan::Latest { .. } => Prevails::Nobody,
    };
    match prevails {
        Prevails::Shown => becomes(value),
        Prevails::Believed => stays(false, true),
        Prevails::Nobody => stays(true, false),
    }
}

fn rules(case: &Case) -> Json {
    let (owner, proposals) = match case.role {
        Role::Owner => ("crm", json!(["app"])),
        Role::Proposer => ("app", json!(["crm"])),
        Role::Stranger => ("app", json!([])),
        Role::Writer => ("shared", json!([])),
    };
    let (strategy, precedence, clocks) = match case.plan {
        Plan::OwnerWins => ("owner_wins", &[][..], Clocks::None),
        Plan::Manual => ("manual_review", &[][..], Clocks::None),
        Plan::Latest { precedence, clocks } => ("latest_valid_change", precedence, clocks),
    };
    let (app_skew, crm_skew) = match clocks {
        Clocks::None | Clocks::Untrusted { .. } => (json!(null), json!(null)),
        Clocks::OneTrusted { .. } => (json!(SKEW_MS), json!(null)),
        Clocks::Trusted { .. } => (json!(SKEW_MS), json!(SKEW_MS)),
    };
    let nulls = if case.shown == (Proposed::Null { clears: true }) { "clear" } else { "ignore" };
    json!({
        "systems": {"app": {"local": true, "skew": app_skew}, "crm": {"nulls": nulls, "skew": crm_skew}},
        "fields": {"f": {
            "type": "string", "owner": owner, "proposals": proposals, "strategy": strategy,
            "precedence": precedence, "on_refused": case.on_refused, "valid": "value != 'bad'",
        }},
    })
}

fn actual(case: &Case) -> After {
    let mut world = World::new(&rules(case));
    world.thorough = false;
    let (app_ms, crm_ms) = match case.plan {
        Plan::Latest {
            clocks:
                Clocks::Untrusted { later_ms } | Clocks::OneTrusted { later_ms } | Clocks::Trusted { later_ms },
            ..
        } => (Some(50_000), Some(50_000 + later_ms)),
        Plan::OwnerWins | Plan::Manual | Plan::Latest { clocks: Clocks::None, .. } => (None, None),
    };
    let at = |look: crate::world::Look, ms: Option<i64>| ms.map_or(look.clone(), |ms| look.at(ms));
    if case.relation != Relation::First {
        let first = if case.role == Role::Owner { "crm" } else { "app" };
        world.see(shows(first, &json!({"f": "1"})));
        world.drain();
    }
    if matches!(case.relation, Relation::Concurrent | Relation::Indeterminate | Relation::Agreement) {
        world.see(at(shows("app", &json!({"f": "2"})), app_ms));
        assert_eq!(world.belief("f"), "\"2\"", "{case:?}: the change to cross");
    }
    if case.relation == Relation::Indeterminate {
        world.send("crm");
    }
    let value = match (case.relation, case.shown) {
        (Relation::Agreement, _) => json!("2"),
        (_, Proposed::Valid) => json!("3"),
        (_, Proposed::Invalid) => json!("bad"),
        (_, Proposed::Null { .. }) => json!(null),
    };
    let look = at(shows("crm", &json!({"f": value})), crm_ms);
    world.see(look.clone());
    assert_eq!(world.looks_again(), case.relation == Relation::Indeterminate, "{case:?}: a second look");
    if case.relation == Relation::Indeterminate {
        world.see(look.confirmed());
        assert!(!world.looks_again(), "{case:?}: a third look");
    }
    After {
        belief: world.belief("f"),
        asked: world.record.is_contested(&"f".into()),
        to_crm: world.intent("crm"),
        to_app: world.intent("app"),
    }
}

#[test]
fn every_strategy_relation_role_refusal_and_value() {
    let mut cases = 0;
    for plan in PLANS {
        for role in [Role::Owner, Role::Proposer, Role::Stranger, Role::Writer] {
            if plan == Plan::OwnerWins && role == Role::Writer {
                continue; // A hole: refused at load.
            }
            for relation in [
                Relation::First,
                Relation::Sequential,
                Relation::Concurrent,
                Relation::Indeterminate,
                Relation::Agreement,
            ] {
                for on_refused in ["revert", "ignore", "review"] {
                    for shown in [
                        Proposed::Valid,
                        Proposed::Invalid,
                        Proposed::Null { clears: false },
                        Proposed::Null { clears: true },
                    ] {
                        let case = Case { role, relation, plan, on_refused, shown };
                        assert_eq!(actual(&case), expected(&case), "{case:?}");
                        cases += 1;
                    }
                }
            }
        }
    }
    assert_eq!(cases, 15 * 4 * 5 * 3 * 4 - 5 * 3 * 4);
}

/// A person's value is no system's: who may change it next, and what crosses it.
#[test]
fn what_crosses_a_person_s_value() {
    for (role, plan, wanted) in [
        (Role::Owner, Plan::OwnerWins, "\"3\""),
        (Role::Proposer, Plan::OwnerWins, "\"p\""),
        (Role::Writer, Plan::Latest { precedence: &["crm", "app"], clocks: Clocks::None }, "\"p\""),
    ] {
        let case =
            Case { role, relation: Relation::Concurrent, plan, on_refused: "revert", shown: Proposed::Valid };
        let mut rules = rules(&case);
        rules["fields"]["f"]["on_refused"] = json!("review");
        let mut world = World::new(&rules);
        let first = if role == Role::Owner { "crm" } else { "app" };
        world.see(shows(first, &json!({"f": "1"})));
        world.drain();
        world.see(shows("app", &json!({"f": "bad"})));
        world.answer("f", avowal_core::history::ReviewAnswer::Set { value: "p".into() });
        assert_eq!(world.dot("f"), "operator:1");
        world.see(shows("crm", &json!({"f": "3"})));
        assert_eq!(world.belief("f"), wanted, "{role:?}");
    }
}
