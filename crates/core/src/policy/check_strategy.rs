//! The part of the check that turns a field's written strategy and validator into what decides.

use crate::data::ids::FieldName;
use crate::policy::cel::Rule;
use crate::policy::check::Check;
use crate::policy::domain::{RegisteredResolver, RegisteredValidator, Unregistered};
use crate::policy::schema::FieldType;
use crate::policy::spec::FieldSpec;
use crate::policy::strategy::{StrategyDeclaration, StrategyKey, StrategyParts};
use crate::policy::{Owner, Strategy};

impl<'a> Check<'a> {
    pub(super) fn strategy(
        &mut self,
        name: &FieldName,
        spec: &FieldSpec,
        field_type: &FieldType,
        owner: &Owner,
    ) -> Option<Strategy> {
        self.strategy_keys_fit(name, spec);
        let declared = self.declared(name, spec, owner)?;
        if declared.needs_owner {
            self.owner_fits(name, spec, declared, owner)?;
        }
        if !(declared.fits)(field_type) {
            let at = match declared.key {
                StrategyKey::Strategy => "strategy",
                StrategyKey::Merge => "merge",
            };
            let problem = format!("this {at} cannot carry {field_type}");
            let cure = format!("It needs {}; choose another merge or strategy", declared.needs);
            self.hole(&["fields", name.as_str(), at], problem, cure);
            return None;
        }
        (declared.make)(&mut FieldParts { check: self, name, spec })
    }

    /// Keys that belong to a strategy which was not chosen.
    fn strategy_keys_fit(&mut self, name: &FieldName, spec: &FieldSpec) {
        let strategy = spec.strategy.as_deref();
        if spec.merge.is_some() && strategy != Some("merge") {
            let at = ["fields", name.as_str(), "merge"];
            self.hole(&at, "merge is not the strategy", "Write `strategy = \"merge\"`");
        }
        if spec.expression.is_some() && spec.merge.as_deref() != Some("expression") {
            let at = ["fields", name.as_str(), "expression"];
            let cure = "Write `merge = \"expression\"`, or remove it";
            self.hole(&at, "the merge is not an expression", cure);
        }
        if spec.resolver.is_some() && strategy.is_some_and(|strategy| strategy != "resolver") {
            let at = ["fields", name.as_str(), "resolver"];
            let cure = "Write `strategy = \"resolver\"`, or remove it";
            self.hole(&at, "the strategy is not a resolver", cure);
        }
    }

    /// The declaration of the strategy that the field's words mean.
    fn declared(
        &mut self,
        name: &FieldName,
        spec: &FieldSpec,
        owner: &Owner,
    ) -> Option<&'static StrategyDeclaration> {
        let word = match (spec.strategy.as_deref(), &spec.resolver, owner) {
            (Some("merge"), _, _) => return self.declared_merge(name, spec),
            (Some(word), _, _) => word,
            (None, Some(_), _) => "resolver",
            (None, None, Owner::System(_)) => "owner_wins",
            (None, None, Owner::Shared) => {
                let cure = format!("Write `strategy = …`: {}", strategies_of_shared_fields());
                let problem = "a shared field needs a strategy for concurrent changes";
                self.hole(&["fields", name.as_str()], problem, cure);
                return None;
            }
        };
        let found = find(StrategyKey::Strategy, word);
        if found.is_none() {
            let at = ["fields", name.as_str(), "strategy"];
            let cure = format!("Use {}", strategy_words(|_| true));
            self.hole(&at, format!("{word:?} is not a strategy"), cure);
        }
        found
    }

    fn declared_merge(&mut self, name: &FieldName, spec: &FieldSpec) -> Option<&'static StrategyDeclaration> {
        let at = ["fields", name.as_str(), "merge"];
        let Some(word) = spec.merge.as_deref() else {
            let cure = format!("Write `merge = …`: {}", merge_words());
            self.hole(&at[..2], "the strategy merge does not say how", cure);
            return None;
        };
        let found = find(StrategyKey::Merge, word);
        if found.is_none() {
            let cure = format!("Use {}", merge_words());
            self.hole(&at, format!("{word:?} is not a way to merge"), cure);
        }
        found
    }

    /// Whether there is an owner, and the spelling agrees with it.
    fn owner_fits(
        &mut self,
        name: &FieldName,
        spec: &FieldSpec,
        declared: &StrategyDeclaration,
        owner: &Owner,
    ) -> Option<()> {
        let at = ["fields", name.as_str(), "strategy"];
        let word = spec.strategy.as_deref().unwrap_or(declared.word);
        let owner = match owner {
            Owner::System(owner) => owner,
            Owner::Shared => {
                let cure = format!("Name the owner, or use {}", strategies_of_shared_fields());
                self.hole(&at, format!("{word} needs an owner, but the field is shared"), cure);
                return None;
            }
        };
        let owner_is_local = self.systems.get(owner).is_some_and(|traits| traits.local);
        if word == declared.word || owner_is_local == (word == "local_wins") {
            return Some(());
        }
        let kind = if owner_is_local { "the local system" } else { "not the local system" };
        let cure = format!(
            "Use {}, or the spelling that agrees with the owner; `local = true` marks the local system",
            declared.word
        );
        self.hole(&at, format!("{word} contradicts the owner: {owner} is {kind}"), cure);
        None
    }

    /// The registered validator that the field names, if it names one.
    pub(super) fn validator(&mut self, name: &FieldName, spec: &FieldSpec) -> Option<RegisteredValidator> {
        let wanted = spec.validator.as_deref()?;
        let found = self.domain.find_validator(wanted);
        found.map_err(|why| self.unregistered(name, "validator", wanted, why)).ok()
    }

    fn unregistered(&mut self, name: &FieldName, kind: &str, wanted: &str, why: Unregistered) {
        let at = ["fields", name.as_str(), kind];
        match why {
            Unregistered::Unknown(known) => {
                let other = match known.as_slice() {
                    [] => format!("remove `{kind}`"),
                    known => format!("use one of {}", known.join(", ")),
                };
                let cure = format!("Register it in `main` with `.{kind}(…)`, or {other}");
                self.hole(&at, format!("no {kind} {wanted:?} is registered in this binary"), cure);
            }
            Unregistered::Ambiguous => {
                let problem = format!("several {kind}s are registered as {wanted:?}");
                self.hole(&at, problem, "Give each a name of its own in the program");
            }
        }
    }
}

/// The parts of one field's strategy.
struct FieldParts<'c, 'a> {
    check: &'c mut Check<'a>,
    name: &'c FieldName,
    spec: &'c FieldSpec,
}

impl StrategyParts for FieldParts<'_, '_> {
    fn expression(&mut self) -> Option<Rule> {
        let at = ["fields", self.name.as_str(), "expression"];
        let Some(source) = &self.spec.expression else {
            let cure = "Write `expression = \"…\"` over local, external and base";
            self.check.hole(&at[..2], "the merge has no expression", cure);
            return None;
        };
        match Rule::compile(source, &["local", "external", "base"]) {
            Ok(rule) => Some(rule),
            Err(error) => {
                let problem = format!("the expression does not compile: {error}");
                self.check.hole(&at, problem, "Correct the CEL expression");
                None
            }
        }
    }

    fn resolver(&mut self) -> Option<RegisteredResolver> {
        let Some(wanted) = self.spec.resolver.as_deref() else {
            let cure = "Write `resolver = \"NAME\"` with the name of a registered resolver";
            self.check.hole(&["fields", self.name.as_str()], "the strategy resolver does not name one", cure);
            return None;
        };
        let found = self.check.domain.find_resolver(wanted);
        found.map_err(|why| self.check.unregistered(self.name, "resolver", wanted, why)).ok()
    }
}

fn find(key: StrategyKey, word: &str) -> Option<&'static StrategyDeclaration> {
    Strategy::ALL.iter().find(|declared| declared.key == key && declared.is_called(word))
}

/// The words of `strategy`, as a list for people. All ways to merge are one word there.
fn strategy_words(wanted: impl Fn(&StrategyDeclaration) -> bool) -> String {
    let mut words = Vec::new();
    for declared in Strategy::ALL.iter().filter(|declared| wanted(declared)) {
        match declared.key {
            StrategyKey::Strategy => {
                words.extend(declared.spellings);
                words.push(declared.word);
            }
            StrategyKey::Merge if words.contains(&"merge") => {}
            StrategyKey::Merge => words.push("merge"),
        }
    }
    one_of(&words)
}

fn strategies_of_shared_fields() -> String {
    strategy_words(|declared| !declared.needs_owner)
}

fn merge_words() -> String {
    let merges = Strategy::ALL.iter().filter(|declared| declared.key == StrategyKey::Merge);
    one_of(&merges.map(|declared| declared.word).collect::<Vec<_>>())
}

fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}
