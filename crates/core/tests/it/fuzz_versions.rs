//! Version vectors from outside: their wire form, and the laws of comparing.

use crate::fuzz_cases::fuzz;
use avowal_core::data::ids::SystemName;
use avowal_core::data::version::{Causality, Dot, VersionVector};
use proptest::prelude::*;

fn any_vector() -> impl Strategy<Value = VersionVector> {
    let count = prop_oneof![4 => 0..4_u64, 1 => any::<u64>()];
    prop::collection::btree_map("[a-d]|[^a-d]{1,3}", count, 0..5).prop_map(|counts| {
        let mut vector = VersionVector::new();
        counts.into_iter().for_each(|(system, n)| vector.add(&Dot::new(system.as_str(), n)));
        vector
    })
}

fn mirrored(causality: Causality) -> Causality {
    match causality {
        Causality::Same => Causality::Same,
        Causality::LeftAfterRight => Causality::RightAfterLeft,
        Causality::RightAfterLeft => Causality::LeftAfterRight,
        Causality::Concurrent => Causality::Concurrent,
    }
}

proptest! {
    #![proptest_config(fuzz(1_000))]

    #[test]
    fn any_bytes_are_a_vector_or_an_error(bytes in "[{}\",:a-z0-9 \\-.eE]{0,60}") {
        if let Ok(vector) = serde_json::from_str::<VersionVector>(&bytes) {
            let wire = serde_json::to_string(&vector).unwrap();
            prop_assert_eq!(serde_json::from_str::<VersionVector>(&wire).unwrap(), vector);
        }
    }

    #[test]
    fn the_wire_form_comes_back(vector in any_vector()) {
        let wire = serde_json::to_string(&vector).unwrap();
        prop_assert_eq!(serde_json::from_str::<VersionVector>(&wire).unwrap(), vector);
    }

    #[test]
    fn comparing_is_an_order(one in any_vector(), two in any_vector(), three in any_vector()) {
        prop_assert_eq!(one.compare(&one), Causality::Same);
        prop_assert_eq!(one.compare(&two), mirrored(two.compare(&one)));
        if one.compare(&two) == Causality::LeftAfterRight && two.compare(&three) == Causality::LeftAfterRight {
            prop_assert_eq!(one.compare(&three), Causality::LeftAfterRight);
        }
        if one.compare(&two) == Causality::Same {
            prop_assert_eq!(&one, &two);
        }
    }

    #[test]
    fn joining_is_the_least_upper_bound(one in any_vector(), two in any_vector(), three in any_vector()) {
        let join = |left: &VersionVector, right: &VersionVector| {
            let mut joined = left.clone();
            joined.join(right);
            joined
        };
        let both = join(&one, &two);
        for part in [&one, &two] {
            prop_assert!(matches!(both.compare(part), Causality::Same | Causality::LeftAfterRight));
        }
        prop_assert_eq!(&both, &join(&two, &one));
        prop_assert_eq!(join(&both, &three), join(&one, &join(&two, &three)));
        prop_assert_eq!(&both, &join(&both, &one));
    }

    #[test]
    fn the_next_dot_is_new(vector in any_vector(), system in "[a-d]") {
        let system = SystemName::new(system);
        // A source that has made 2^64 changes of one record has none left.
        prop_assume!(vector.get(&system) < u64::MAX);
        let next = vector.next(&system);
        prop_assert!(!vector.includes(&next));
        prop_assert!(vector.with(&next).includes(&next));
        prop_assert_eq!(vector.with(&next).compare(&vector), Causality::LeftAfterRight);
    }
}
