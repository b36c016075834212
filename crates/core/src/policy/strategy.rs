//! The strategies, each declared once: how it is written, what it needs, what it can lose, what equality means.
//!
//! To add one, write a variant with its declaration here. The compiler then names the two arms that are missing: the one in
//! `decide/resolve.rs` that carries it out, and the one in `explain/rules.rs` that says it in a sentence.
//! The check of a configuration, the lists in its messages and `docs/guide/src/strategies.md` follow from the declaration.

use crate::policy::cel::Rule;
use crate::policy::domain::RegisteredResolver;
use crate::policy::schema::FieldType;
use std::fmt;

/// What is declared of a strategy.
///
/// ```
/// use avowal_core::{Strategy, StrategyKey};
///
/// let union = Strategy::ALL.iter().find(|declared| declared.word == "union").unwrap();
/// assert_eq!(union.key, StrategyKey::Merge);
/// assert_eq!(union.needs, "a set");
/// assert_eq!(union.can_lose, "nothing");
/// ```
pub struct StrategyDeclaration {
    /// The word by which the configuration names it.
    pub word: &'static str,
    /// Other words for it, which must agree with the owner.
    pub spellings: &'static [&'static str],
    /// The key under which the word is written.
    pub key: StrategyKey,
    /// What happens to two changes that did not see each other.
    pub does: &'static str,
    /// What a field must have for it, or what helps it to decide.
    pub needs: &'static str,
    /// Which change may disappear. A value that loses stays in the history.
    pub can_lose: &'static str,
    /// When two changes count as the same one, so that there is nothing to decide.
    pub equality: &'static str,
    /// What two equal changes are that were made without seeing each other.
    pub equal_changes: EqualChanges,
    /// Whether it compares the two changes by who owns the field.
    pub needs_owner: bool,
    /// Whether it can decide about values of this type.
    pub fits: fn(&FieldType) -> bool,
    /// Puts it together; `None` if a part is missing, which has been reported then.
    pub(super) make: fn(&mut dyn StrategyParts) -> Option<Strategy>,
}

/// What two changes to the same value are that did not see each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EqualChanges {
    /// An agreement: both wanted this value, and there is nothing to decide.
    Agree,
    /// Two changes that both count: each side has added or taken the same amount.
    AddUp,
}

/// The key under which a strategy's word is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StrategyKey {
    /// `strategy = "WORD"`.
    Strategy,
    /// `strategy = "merge", merge = "WORD"`.
    Merge,
}

/// The parts of a field's written rule that some strategies consist of. Asking for one that is missing reports a hole.
pub(super) trait StrategyParts {
    /// The compiled `expression`.
    fn expression(&mut self) -> Option<Rule>;
    /// The registered resolver that `resolver` names.
    fn resolver(&mut self) -> Option<RegisteredResolver>;
}

/// Makes the enum, the list of all declarations and the way from one to the other out of one list, so that none can be
/// forgotten.
macro_rules! strategies {
    ($($(#[$doc:meta])* $name:ident $(($part:ty))? = $declaration:expr;)+) => {
        /// What happens to concurrent changes of one field.
        #[derive(Clone, PartialEq, Debug)]
        pub enum Strategy {
            $($(#[$doc])* $name $(($part))?,)+
        }

        impl Strategy {
            /// Every strategy, in the order of the documents.
            pub const ALL: &'static [StrategyDeclaration] = &[$($declaration,)+];

            /// What is declared of this one.
            pub fn declaration(&self) -> &'static StrategyDeclaration {
                match self {
                    $(Strategy::$name { .. } => &const { $declaration },)+
                }
            }
        }
    };
}

strategies! {
    /// The owner's value stays.
    OwnerWins = StrategyDeclaration {
        word: "owner_wins",
        spellings: &["local_wins", "external_wins"],
        key: StrategyKey::Strategy,
        does: "the owner's value stays; between two proposals `precedence` decides, else a person",
        needs: "an owner",
        can_lose: "a proposal that had not seen the owner's value",
        equality: EQUAL_VALUES,
        equal_changes: EqualChanges::Agree,
        needs_owner: true,
        fits: any_type,
        make: |_| Some(Strategy::OwnerWins),
    };

    /// Invalid values drop out, then trusted clocks, precedence, a person.
    LatestValidChange = StrategyDeclaration {
        word: "latest_valid_change",
        spellings: &[],
        key: StrategyKey::Strategy,
        does: "invalid values drop out; trusted clocks that are clearly apart decide, then `precedence`, else a person",
        needs: "any type; `precedence` or trusted clocks, or a person is asked each time",
        can_lose: "the change that does not prevail",
        equality: EQUAL_VALUES,
        equal_changes: EqualChanges::Agree,
        needs_owner: false,
        fits: any_type,
        make: |_| Some(Strategy::LatestValidChange),
    };

    /// The additions and removals of both sides. An element that one side removed and the other did not touch goes.
    MergeUnion = StrategyDeclaration {
        word: "union",
        spellings: &[],
        key: StrategyKey::Merge,
        does: "the additions and removals of both are kept",
        needs: "a set",
        can_lose: "nothing",
        equality: "sets are equal if they have the same elements, in any order; the same element added on both sides is one element",
        equal_changes: EqualChanges::Agree,
        needs_owner: false,
        fits: |field_type| matches!(field_type, FieldType::Set),
        make: |_| Some(Strategy::MergeUnion),
    };

    /// The sum of both differences.
    MergeDelta = StrategyDeclaration {
        word: "delta",
        spellings: &[],
        key: StrategyKey::Merge,
        does: "the differences of both are added up; if it is not certain what theirs was counted from, a person is asked",
        needs: "an integer or decimal",
        can_lose: "without a common base, the number that `precedence` puts last; a change that leads to the very number which we are just writing there, if the system's log does not tell whose it is",
        equality: "numbers are equal by value: the decimals 1.5 and 1.50 are one number. Two sides that reached the same number by themselves have changed it twice: 100 → 97 on both is 94. Equal numbers are one change only where the second may be the echo of our own write, and where two filled copies are linked for the first time",
        equal_changes: EqualChanges::AddUp,
        needs_owner: false,
        fits: FieldType::is_number,
        make: |_| Some(Strategy::MergeDelta),
    };

    /// The greater value.
    MergeMax = StrategyDeclaration {
        word: "max",
        spellings: &[],
        key: StrategyKey::Merge,
        does: "the greater value stands",
        needs: ORDERED,
        can_lose: "the smaller value",
        equality: "numbers are equal by value, times by the moment in UTC",
        equal_changes: EqualChanges::Agree,
        needs_owner: false,
        fits: is_ordered,
        make: |_| Some(Strategy::MergeMax),
    };

    /// The smaller value.
    MergeMin = StrategyDeclaration {
        word: "min",
        spellings: &[],
        key: StrategyKey::Merge,
        does: "the smaller value stands",
        needs: ORDERED,
        can_lose: "the greater value",
        equality: "numbers are equal by value, times by the moment in UTC",
        equal_changes: EqualChanges::Agree,
        needs_owner: false,
        fits: is_ordered,
        make: |_| Some(Strategy::MergeMin),
    };

    /// Both edits of a text, line by line. Edits that overlap go to a person.
    MergeText = StrategyDeclaration {
        word: "text",
        spellings: &[],
        key: StrategyKey::Merge,
        does: "both edits are merged line by line; a person decides where they overlap",
        needs: "a string",
        can_lose: "nothing; without a common base, the text that `precedence` puts last",
        equality: "texts are equal character by character, after `normalize`; the same edit made on both sides is one edit, so a line that both have added stands there once",
        equal_changes: EqualChanges::Agree,
        needs_owner: false,
        fits: |field_type| matches!(field_type, FieldType::String),
        make: |_| Some(Strategy::MergeText),
    };

    /// The value of a CEL expression over `local`, `external` and `base`.
    MergeExpression(Rule) = StrategyDeclaration {
        word: "expression",
        spellings: &[],
        key: StrategyKey::Merge,
        does: "the value becomes that of the field's `expression`",
        needs: "an `expression` in CEL over `local`, `external` and `base`",
        can_lose: "what the expression drops",
        equality: "values are equal if their canonical forms are the same bytes, after `normalize`; then the expression is not asked, so an expression that adds up counts equal changes once (`delta` counts both)",
        equal_changes: EqualChanges::Agree,
        needs_owner: false,
        fits: any_type,
        make: |parts| parts.expression().map(Strategy::MergeExpression),
    };

    /// A person decides.
    ManualReview = StrategyDeclaration {
        word: "manual_review",
        spellings: &[],
        key: StrategyKey::Strategy,
        does: "a person decides; the field is written nowhere meanwhile",
        needs: "any type, and a person who answers",
        can_lose: "what the person decides against",
        equality: EQUAL_VALUES,
        equal_changes: EqualChanges::Agree,
        needs_owner: false,
        fits: any_type,
        make: |_| Some(Strategy::ManualReview),
    };

    /// A resolver written in Rust decides.
    Resolver(RegisteredResolver) = StrategyDeclaration {
        word: "resolver",
        spellings: &[],
        key: StrategyKey::Strategy,
        does: "the resolver that the field names decides, or asks a person",
        needs: "`resolver = \"NAME\"` of a resolver that is registered in the program",
        can_lose: "what the resolver drops",
        equality: EQUAL_VALUES,
        equal_changes: EqualChanges::Agree,
        needs_owner: false,
        fits: any_type,
        make: |parts| parts.resolver().map(Strategy::Resolver),
    };
}

const EQUAL_VALUES: &str =
    "values are equal if their canonical forms are the same bytes, after `normalize`; lists with their order";
const ORDERED: &str = "an integer, decimal, date or timestamp";

impl Strategy {
    /// The resolver that decides, if one does.
    pub fn resolver(&self) -> Option<&RegisteredResolver> {
        let Strategy::Resolver(resolver) = self else { return None };
        Some(resolver)
    }
}

impl StrategyDeclaration {
    /// Whether the configuration may call it by this word.
    pub(super) fn is_called(&self, word: &str) -> bool {
        self.word == word || self.spellings.contains(&word)
    }

    /// How a field asks for it, as in `strategy = "merge", merge = "union"`.
    pub fn written(&self) -> String {
        match self.key {
            StrategyKey::Strategy => format!("strategy = \"{}\"", self.word),
            StrategyKey::Merge => format!("strategy = \"merge\", merge = \"{}\"", self.word),
        }
    }
}

impl fmt::Debug for StrategyDeclaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StrategyDeclaration({})", self.word)
    }
}

fn any_type(_: &FieldType) -> bool {
    true
}

fn is_ordered(field_type: &FieldType) -> bool {
    field_type.is_number() || matches!(field_type, FieldType::Date | FieldType::Timestamp)
}
