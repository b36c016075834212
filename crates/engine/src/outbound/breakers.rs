//! The judgement whether what updates do to a system is healthy work or a mistake that spreads: a window of counted
//! effects goes in, and which limits it passes comes out.
//!
//! Numbers, days and truths change everywhere at once in healthy work: prices for a season, balances at a month's end. So
//! what is judged beyond their number are fields that hold texts, match keys, and fields that are emptied.

use crate::parts::settings::Guards;
use avowal_core::data::ids::{EntityName, FieldName, SystemName};
use avowal_core::outgoing::effects::Effect;
use avowal_core::policy::EntityPolicy;
use avowal_core::policy::schema::FieldType;
use std::collections::BTreeMap;
use std::fmt;

/// Up to this many may be a large share of few copies: a person who tidies up a small table is not asked.
const FEW: u64 = 10;

/// Up to this many that wait at once are people's work, whatever went out before.
const AT_ONCE: u64 = 1;

/// What updates of one entity do to one system.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Window {
    /// Which entity.
    pub(crate) entity: EntityName,
    /// How many living copies the system holds.
    pub(crate) copies: u64,
    /// How many of the updates that wait have each effect.
    pub(crate) planned: BTreeMap<Effect, u64>,
    /// How many that went out lately had each effect.
    pub(crate) lately: BTreeMap<Effect, u64>,
}

/// What is remarkable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Breaker {
    /// Too many copies are changed.
    Changes,
    /// Everything changes: most fields that hold texts.
    MostFields(Vec<FieldName>),
    /// A field by which copies are matched changes.
    Key(FieldName),
    /// A field is emptied.
    Blanked(FieldName),
    /// A field gets the same value everywhere: the digits of its digest.
    SameValue(FieldName, String),
}

/// A limit that is passed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Tripped {
    pub(crate) entity: EntityName,
    pub(crate) breaker: Breaker,
    /// How many updates wait.
    pub(crate) planned: u64,
    /// How many went out lately.
    pub(crate) lately: u64,
    /// How many copies there are.
    pub(crate) copies: u64,
    /// Which limit, in words.
    pub(crate) limit: String,
}

/// A limit by number and by share.
#[derive(Clone, Copy)]
struct Bound {
    most: Option<u64>,
    share: Option<f64>,
}

impl Bound {
    fn share(share: f64) -> Self {
        Self { most: None, share: Some(share) }
    }

    /// Which limit so many of so many pass, in words. A share of 1 allows all.
    fn passed(self, count: u64, of: u64) -> Option<String> {
        let is_over = |share: &f64| *share < 1.0 && count > FEW && count as f64 > of as f64 * share.max(0.0);
        match (self.most.filter(|most| count > *most), self.share.filter(is_over)) {
            (Some(most), _) => Some(format!("more than the guard allows ({most})")),
            (None, Some(share)) => Some(format!("a larger share than the guard allows ({share})")),
            (None, None) => None,
        }
    }
}

/// The limits that a window passes in a system.
pub(crate) fn judge(
    guards: &Guards,
    policy: &EntityPolicy,
    system: &SystemName,
    window: &Window,
) -> Vec<Tripped> {
    let mut found = Vec::new();
    let changes = Bound { most: guards.changes_max, share: guards.changes_max_share };
    found.extend(window.over(&Effect::Changed, changes, Breaker::Changes));
    found.extend(window.most_fields(guards, policy, system));
    for effect in window.planned.keys() {
        found.extend(match effect {
            Effect::Blanked(field) => {
                let bound = Bound { most: Some(guards.blanks_max), share: Some(guards.blanks_max_share) };
                window.over(effect, bound, Breaker::Blanked(field.clone()))
            }
            Effect::Replaced(field) if is_key(policy, field) => {
                window.over(effect, Bound::share(guards.keys_max_share), Breaker::Key(field.clone()))
            }
            Effect::SetTo(field, digest) if holds_texts(policy, field) => {
                let breaker = Breaker::SameValue(field.clone(), digest.clone());
                window.over(effect, Bound::share(guards.same_value_max_share), breaker)
            }
            Effect::Sent
            | Effect::Deleted
            | Effect::MadeAgain
            | Effect::Changed
            | Effect::Replaced(_)
            | Effect::SetTo(..) => None,
        });
    }
    found
}

impl Window {
    fn planned(&self, effect: &Effect) -> u64 {
        self.planned.get(effect).copied().unwrap_or_default()
    }

    fn lately(&self, effect: &Effect) -> u64 {
        self.lately.get(effect).copied().unwrap_or_default()
    }

    /// Whether an effect passes a limit.
    fn over(&self, effect: &Effect, bound: Bound, breaker: Breaker) -> Option<Tripped> {
        let (planned, lately) = (self.planned(effect), self.lately(effect));
        if planned <= AT_ONCE {
            return None;
        }
        let limit = bound.passed(planned + lately, self.copies)?;
        Some(Tripped { entity: self.entity.clone(), breaker, planned, lately, copies: self.copies, limit })
    }

    /// Whether most fields that hold texts are replaced or emptied in too many copies, and at least two of them.
    fn most_fields(&self, guards: &Guards, policy: &EntityPolicy, system: &SystemName) -> Option<Tripped> {
        let mapping = policy.mappings.get(system)?;
        let texts: Vec<&FieldName> =
            mapping.columns.keys().filter(|field| holds_texts(policy, field)).collect();
        let both = |field: &FieldName, count: fn(&Self, &Effect) -> u64| {
            count(self, &Effect::Replaced(field.clone())) + count(self, &Effect::Blanked(field.clone()))
        };
        let bound = Bound::share(guards.rewrites_max_share);
        let passed = |field: &&FieldName| {
            let planned = both(field, Self::planned);
            let limit = bound.passed(planned + both(field, Self::lately), self.copies);
            limit.filter(|_| planned > AT_ONCE).map(|limit| ((*field).clone(), limit))
        };
        let over: Vec<(FieldName, String)> = texts.iter().filter_map(passed).collect();
        let limit = over.first().map(|(_, limit)| limit.clone())?;
        if over.len() < 2 || over.len() * 2 <= texts.len() {
            return None;
        }
        let fields: Vec<FieldName> = over.into_iter().map(|(field, _)| field).collect();
        let planned = fields.iter().map(|field| both(field, Self::planned)).max().unwrap_or_default();
        let lately = fields.iter().map(|field| both(field, Self::lately)).max().unwrap_or_default();
        let breaker = Breaker::MostFields(fields);
        Some(Tripped { entity: self.entity.clone(), breaker, planned, lately, copies: self.copies, limit })
    }
}

fn is_key(policy: &EntityPolicy, field: &FieldName) -> bool {
    policy.match_on.iter().any(|key| key.contains(field))
}

/// Whether a field holds what people have written, and not a number, a day or a truth.
fn holds_texts(policy: &EntityPolicy, field: &FieldName) -> bool {
    policy.field(field).is_some_and(|rules| match &rules.field_type {
        FieldType::String
        | FieldType::Enum { .. }
        | FieldType::Set
        | FieldType::List
        | FieldType::Object
        | FieldType::Ref { .. } => true,
        FieldType::Integer
        | FieldType::Decimal
        | FieldType::Boolean
        | FieldType::Date
        | FieldType::Timestamp => false,
    })
}

impl Breaker {
    /// Whether an update with these effects is one of those that it is about.
    pub(crate) fn is_about(&self, effects: &[Effect]) -> bool {
        effects.iter().any(|effect| match (self, effect) {
            (Breaker::Changes, Effect::Changed) => true,
            (Breaker::MostFields(fields), Effect::Replaced(field) | Effect::Blanked(field)) => {
                fields.contains(field)
            }
            (Breaker::Key(key), Effect::Replaced(field)) => key == field,
            (Breaker::Blanked(blanked), Effect::Blanked(field)) => blanked == field,
            (Breaker::SameValue(of, value), Effect::SetTo(field, digest)) => of == field && value == digest,
            (
                Breaker::Changes
                | Breaker::MostFields(_)
                | Breaker::Key(_)
                | Breaker::Blanked(_)
                | Breaker::SameValue(..),
                Effect::Sent
                | Effect::Deleted
                | Effect::MadeAgain
                | Effect::Changed
                | Effect::Blanked(_)
                | Effect::Replaced(_)
                | Effect::SetTo(..),
            ) => false,
        })
    }
}

/// What was seen, as a sentence.
impl fmt::Display for Tripped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entity, breaker, planned, lately, copies, limit } = self;
        match breaker {
            Breaker::Changes => write!(f, "{planned} of the {copies} copies of {entity} would be changed")?,
            Breaker::MostFields(fields) => {
                let names: Vec<&str> = fields.iter().map(FieldName::as_str).collect();
                write!(
                    f,
                    "everything would change: {} in {planned} of the {copies} copies of {entity}",
                    names.join(", ")
                )?;
            }
            Breaker::Key(field) => {
                write!(
                    f,
                    "{field}, by which {entity} is matched, would change in {planned} of the {copies} copies"
                )?;
            }
            Breaker::Blanked(field) => {
                write!(f, "{field} would be emptied in {planned} of the {copies} copies of {entity}")?;
            }
            Breaker::SameValue(field, _) => {
                write!(
                    f,
                    "{field} would get the same value in {planned} of the {copies} copies of {entity}"
                )?;
            }
        }
        if *lately > 0 {
            write!(f, " ({lately} more went out within the last hour)")?;
        }
        write!(f, ": {limit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use avowal_testpolicy::policy;
    use serde_json::json;

    /// A product that is matched by its number, with four fields of texts, and a price, a day and a truth.
    fn rules() -> EntityPolicy {
        let field = |kind: &str| json!({"type": kind, "owner": "shared", "strategy": "latest_valid_change", "precedence": ["app", "crm"]});
        let (text, set) = (field("string"), field("set"));
        policy(&json!({
            "match_on": ["sku"],
            "systems": {"app": {"local": true}, "crm": {}},
            "fields": {
                "sku": text, "name": text, "phone": text, "tags": set,
                "price": field("decimal"), "billed": field("date"), "open": field("boolean")
            }
        }))
    }

    /// The name of an effect, how many updates with it wait, and how many went out lately.
    type Counted = (&'static str, u64, u64);

    /// The sentences about a window of these effects, each with how many wait and how many went out lately.
    fn told(guards: &Guards, copies: u64, effects: &[Counted]) -> Vec<String> {
        let of = |count: fn(&Counted) -> u64| {
            let parsed = effects.iter().map(|effect| (effect.0.parse().unwrap(), count(effect)));
            parsed.filter(|(_, count)| *count > 0).collect()
        };
        let window =
            Window { entity: "product".into(), copies, planned: of(|one| one.1), lately: of(|one| one.2) };
        judge(guards, &rules(), &"crm".into(), &window).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn healthy_work_passes() {
        let guards = Guards::default();
        let cases: [(&str, u64, &[Counted]); 12] = [
            ("nothing", 100, &[]),
            ("a season's prices", 100_000, &[("changed", 100_000, 0), ("replaced price", 100_000, 0)]),
            (
                "a month's end",
                1_000,
                &[
                    ("changed", 1_000, 0),
                    ("replaced billed", 1_000, 0),
                    ("set 1f price", 1_000, 0),
                    ("set 2f billed", 1_000, 0),
                    ("replaced open", 1_000, 0),
                ],
            ),
            ("a bulk import of names", 1_000, &[("changed", 900, 0), ("replaced name", 900, 0)]),
            (
                "a tidied small table",
                10,
                &[("changed", 10, 0), ("blanked phone", 10, 0), ("set 1f name", 10, 0)],
            ),
            ("some are emptied", 1_000, &[("blanked phone", 200, 0)]),
            ("emptied one by one", 100, &[("blanked phone", 1, 90)]),
            ("half get one value", 100, &[("set 1f name", 50, 0)]),
            ("two values", 100, &[("set 1f name", 50, 0), ("set 2f name", 50, 0)]),
            ("some keys", 100, &[("replaced sku", 20, 0)]),
            ("two of four fields", 100, &[("replaced name", 90, 0), ("replaced phone", 90, 0)]),
            (
                "three fields of some",
                100,
                &[("replaced name", 50, 0), ("replaced phone", 50, 0), ("replaced tags", 50, 0)],
            ),
        ];
        for (name, copies, effects) in cases {
            assert_eq!(told(&guards, copies, effects), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn mistakes_that_spread_are_named() {
        let guards = Guards::default();
        let cases: [(&str, u64, &[Counted], &str); 8] = [
            (
                "a migration that empties a column",
                300,
                &[("changed", 240, 0), ("blanked phone", 240, 0)],
                "phone would be emptied in 240 of the 300 copies of product: a larger share than the guard allows (0.2)",
            ),
            (
                "in batches",
                300,
                &[("blanked phone", 30, 40)],
                "phone would be emptied in 30 of the 300 copies of product (40 more went out within the last hour): a larger share than the guard allows (0.2)",
            ),
            (
                "many of very many",
                1_000_000,
                &[("blanked phone", 1_001, 0)],
                "phone would be emptied in 1001 of the 1000000 copies of product: more than the guard allows (1000)",
            ),
            (
                "an update without a condition",
                300,
                &[("set 1f name", 299, 0), ("replaced name", 299, 0)],
                "name would get the same value in 299 of the 300 copies of product: a larger share than the guard allows (0.5)",
            ),
            (
                "the same set",
                300,
                &[("set 1f tags", 151, 0)],
                "tags would get the same value in 151 of the 300 copies of product: a larger share than the guard allows (0.5)",
            ),
            (
                "shifted keys",
                100,
                &[("replaced sku", 21, 0)],
                "sku, by which product is matched, would change in 21 of the 100 copies: a larger share than the guard allows (0.2)",
            ),
            (
                "shifted columns",
                100,
                &[("replaced name", 60, 0), ("replaced phone", 51, 0), ("blanked tags", 40, 20)],
                "everything would change: name, phone, tags in 60 of the 100 copies of product (20 more went out within the last hour): a larger share than the guard allows (0.5)",
            ),
            (
                "a small table",
                11,
                &[("blanked phone", 11, 0)],
                "phone would be emptied in 11 of the 11 copies of product: a larger share than the guard allows (0.2)",
            ),
        ];
        for (name, copies, effects, expected) in cases {
            let told = told(&guards, copies, effects);
            assert!(told.iter().any(|told| told == expected), "{name}: {told:#?}");
        }
    }

    #[test]
    fn every_limit_is_as_declared() {
        let none = Guards {
            blanks_max: u64::MAX,
            blanks_max_share: 1.0,
            same_value_max_share: 1.0,
            rewrites_max_share: 1.0,
            keys_max_share: 1.0,
            ..Guards::default()
        };
        let all: &[Counted] = &[
            ("changed", 100, 100),
            ("blanked phone", 100, 0),
            ("set 1f name", 100, 0),
            ("replaced name", 100, 0),
            ("replaced tags", 100, 0),
            ("replaced sku", 100, 0),
        ];
        assert_eq!(told(&none, 100, all), Vec::<String>::new());
        let changes = |most, share| Guards { changes_max: most, changes_max_share: share, ..none.clone() };
        for (most, share, is_told) in [
            (Some(199), None, true),
            (Some(200), None, false),
            (None, Some(0.9), true),
            (None, Some(1.0), false),
            (Some(500), Some(0.9), true),
        ] {
            let told = told(&changes(most, share), 100, all);
            assert_eq!(told.len(), usize::from(is_told), "{most:?} {share:?}: {told:?}");
        }
        assert_eq!(told(&Guards::default(), 100, all).len(), 4, "emptied, the same, everything, a key");
    }
}
