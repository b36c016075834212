//! The main job: customers that all three systems know are linked, edited everywhere at once, and agree by the policy.

use super::edits::Edits;
use super::row::{Peer, Row, Rows};
use super::world::World;
use super::{Chance, scale, touch};

/// Ten thousand customers in full mode.
fn customers() -> Rows {
    (0..scale(10_000, 2_000)).map(|n| (format!("c{n:05}"), Row::nth(n))).collect()
}

#[test]
fn three_systems_are_linked_edited_and_agree() {
    let mut chance = Chance::of_run("three_systems_are_linked_edited_and_agree");
    let base = customers();
    let world = World::new();
    first_link(&world, &base);
    let base = edits_everywhere(&world, &base, &mut chance);
    let base = two_fields_of_every_row_at_once(&world, &base);
    touch::every_row_of_each_system(&world, &base);
    world.assert_history();
}

/// The copies are recognised by their e-mail. Nothing is created; what only one system knows reaches the others,
/// and where two know different things the precedence says which one stands.
fn first_link(world: &World, base: &Rows) {
    let known_to_billing_only = |n: usize| n % 10 == 3;
    let differs_in_crm = |n: usize| n % 50 == 7;
    let as_shown_by = |place: Peer| -> Rows {
        let shown = base.iter().enumerate().map(|(n, (code, row))| {
            let mut row = row.clone();
            if known_to_billing_only(n) && place != Peer::Billing {
                row.note = None;
            }
            if differs_in_crm(n) && place != Peer::Crm {
                row.phone = Some(format!("+33{n:08}"));
            }
            (code.clone(), row)
        });
        shown.collect()
    };
    for place in Peer::ALL {
        world.fill(place, &as_shown_by(place));
    }
    let synced = world.sync();
    let lacking = (0..base.len()).filter(|n| known_to_billing_only(*n) || differs_in_crm(*n)).count() as u64;
    assert_eq!((synced.written(), synced.reviews()), (2 * lacking, 0), "{}", synced.0);
    world.assert_all(base);
    world.assert_quiet();
    let checked = world.json(&["check"]);
    for place in Peer::ALL {
        assert_eq!(checked["systems"][place.name()]["status"], "fits", "{checked}");
    }
}

/// Three edits for every ten customers, some of the same fields.
fn edits_everywhere(world: &World, base: &Rows, chance: &mut Chance) -> Rows {
    let edits = Edits::by_chance(chance, base, base.len() * 3 / 10);
    let expected = edits.expected(base);
    edits.make(world, base);
    let synced = world.sync();
    assert_eq!(synced.reviews(), 0, "{}", synced.0);
    world.assert_all(&expected);
    world.assert_quiet();
    expected
}

/// One field of every row here, another one there, before anything is synced: both are kept.
fn two_fields_of_every_row_at_once(world: &World, base: &Rows) -> Rows {
    let half: Rows =
        base.iter().take(base.len() / 2).map(|(code, row)| (code.clone(), row.clone())).collect();
    let edits = Edits::of_every(&half, Peer::App, "name", |code| format!("Renamed {code}"))
        .and(Edits::of_every(&half, Peer::Billing, "note", |code| format!("Noted {code}")));
    let expected = edits.expected(base);
    let kept = expected.iter().filter(|(code, row)| {
        row.name == Some(format!("Renamed {code}")) && row.note == Some(format!("Noted {code}"))
    });
    assert_eq!(kept.count(), half.len());
    edits.make(world, base);
    world.sync();
    world.assert_all(&expected);
    world.assert_quiet();
    expected
}
