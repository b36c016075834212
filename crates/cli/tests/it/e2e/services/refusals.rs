//! What a service refuses is set aside with the service's own reason, and goes through once it is repaired.

use super::customer::Customer;
use super::pair::Pair;
use super::service::Service;

/// How many customers are refused.
const REFUSED: usize = 12;

/// Runs it for one service.
pub fn run<S: Service>() {
    let pair = Pair::<S>::new(1);
    let refused = S::refused();
    pair.configure(&refused.configuration(S::CONFIG));
    let email = |n: usize| format!("person{n}@example.com");
    let customer = |n: usize| -> Customer {
        [("name", format!("Person {n}")), (refused.field, refused.value.clone())].into()
    };
    pair.insert_app(&(0..REFUSED).map(|n| (email(n), customer(n))).collect::<Vec<_>>());
    let good = (email(REFUSED), Customer::from([("name", "A good one".to_owned())]));
    pair.insert_app(std::slice::from_ref(&good));
    let ran = pair.run(&["sync"]);
    println!("{ran}");
    ran.assert(4, &[refused.reason]);
    // One bad customer holds up nobody.
    assert_eq!(pair.service_side().into_keys().collect::<Vec<_>>(), [good.0]);
    let listed = pair.run(&["quarantine", "list"]);
    println!("{listed}");
    listed.assert(0, &[refused.reason]);
    let named = listed.stdout.matches(refused.reason).count();
    assert_eq!(named, REFUSED, "each refusal is listed with its reason: {listed}");

    // Repaired where it was written, or in the configuration, it goes through.
    pair.configure(S::CONFIG);
    let repaired: Vec<_> =
        (0..REFUSED).map(|n| (email(n), vec![(refused.field, Some(format!("{n}")))])).collect();
    pair.edit_app(&repaired);
    pair.settle();
    let (app, service) = (pair.app_side(), pair.service_side());
    assert_eq!(app.len(), REFUSED + 1);
    for (email, (_, fields)) in &app {
        assert_eq!(&service[email].1, fields, "{email}");
    }
    pair.assert_quiet();
}
