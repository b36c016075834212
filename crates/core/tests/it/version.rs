//! Version vectors against sets of dots, and the laws of order and join.

use avowal_core::data::ids::SystemName;
use avowal_core::data::version::{Causality, Dot, VersionVector};
use proptest::prelude::*;
use std::collections::BTreeSet;

const SYSTEMS: [&str; 4] = ["app", "billing", "crm", "erp"];

fn any_vector() -> impl Strategy<Value = VersionVector> {
    prop::collection::vec((0..SYSTEMS.len(), 1..6u64), 0..6)
        .prop_map(|dots| dots.into_iter().map(|(at, n)| Dot::new(SYSTEMS[at], n)).collect())
}

/// The oracle: a vector is the set of all dots that it includes.
fn dots(vector: &VersionVector) -> BTreeSet<(String, u64)> {
    vector.iter().flat_map(|(system, n)| (1..=n).map(move |n| (system.to_string(), n))).collect()
}

fn join(left: &VersionVector, right: &VersionVector) -> VersionVector {
    let mut out = left.clone();
    out.join(right);
    out
}

fn mirrored(answer: Causality) -> Causality {
    match answer {
        Causality::Same => Causality::Same,
        Causality::Concurrent => Causality::Concurrent,
        Causality::LeftAfterRight => Causality::RightAfterLeft,
        Causality::RightAfterLeft => Causality::LeftAfterRight,
    }
}

fn at_most(left: &VersionVector, right: &VersionVector) -> bool {
    matches!(left.compare(right), Causality::Same | Causality::RightAfterLeft)
}

proptest! {
    #[test]
    fn compare_is_inclusion_of_sets_of_dots(left in any_vector(), right in any_vector()) {
        let (l, r) = (dots(&left), dots(&right));
        let expected = match (l.is_superset(&r), r.is_superset(&l)) {
            (true, true) => Causality::Same,
            (true, false) => Causality::LeftAfterRight,
            (false, true) => Causality::RightAfterLeft,
            (false, false) => Causality::Concurrent,
        };
        prop_assert_eq!(left.compare(&right), expected);
        prop_assert_eq!(right.compare(&left), mirrored(expected));
    }

    #[test]
    fn the_order_is_partial(a in any_vector(), b in any_vector(), c in any_vector()) {
        prop_assert_eq!(a.compare(&a), Causality::Same);
        if at_most(&a, &b) && at_most(&b, &a) {
            prop_assert_eq!(dots(&a), dots(&b));
        }
        if at_most(&a, &b) && at_most(&b, &c) {
            prop_assert!(at_most(&a, &c));
        }
    }

    #[test]
    fn join_is_the_least_upper_bound(a in any_vector(), b in any_vector(), c in any_vector()) {
        let joined = join(&a, &b);
        let union: BTreeSet<_> = dots(&a).union(&dots(&b)).cloned().collect();
        prop_assert_eq!(dots(&joined), union);
        prop_assert!(at_most(&a, &joined) && at_most(&b, &joined));
        prop_assert_eq!(&joined, &join(&b, &a));
        prop_assert_eq!(join(&joined, &c), join(&a, &join(&b, &c)));
        prop_assert_eq!(join(&a, &a), a.clone());
        if at_most(&a, &c) && at_most(&b, &c) {
            prop_assert!(at_most(&joined, &c));
        }
    }

    #[test]
    fn a_new_dot_is_new_and_only_adds(a in any_vector(), at in 0..SYSTEMS.len()) {
        let system = SystemName::new(SYSTEMS[at]);
        let dot = a.next(&system);
        prop_assert!(!a.includes(&dot));
        let with = a.with(&dot);
        prop_assert!(with.includes(&dot));
        prop_assert_eq!(with.compare(&a), Causality::LeftAfterRight);
        // An older dot of the same system adds nothing.
        prop_assert_eq!(with.with(&Dot { system, n: 1 }), with);
    }
}

#[test]
fn the_example_of_the_seeds_is_concurrent() {
    let local: VersionVector = [Dot::new("local", 5), Dot::new("crm", 2)].into_iter().collect();
    let crm: VersionVector = [Dot::new("local", 4), Dot::new("crm", 3)].into_iter().collect();
    assert_eq!(local.compare(&crm), Causality::Concurrent);
    assert_eq!(join(&local, &crm).to_string(), "{crm: 3, local: 5}");
}

#[test]
fn a_system_without_changes_is_the_same_as_none() {
    let app: VersionVector = [Dot::new("app", 1)].into_iter().collect();
    assert_eq!(app.compare(&VersionVector::new()), Causality::LeftAfterRight);
    assert_eq!(VersionVector::new().compare(&VersionVector::new()), Causality::Same);
    assert_eq!(VersionVector::new().next(&"app".into()), Dot::new("app", 1));
}
