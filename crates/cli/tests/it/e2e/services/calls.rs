//! How many calls one script of edits costs, beside a mirror that lists all and writes all, both ways.

use super::oracle::{By, Oracle};
use super::pair::Pair;
use super::round::{Batch, Fresh, People};
use super::service::Service;
use crate::e2e::{Chance, scale};
use avowal_testkit::services::caller::Caller;
use serde_json::{Value, json};

/// How often people edit and everything is brought into agreement.
const DAYS: usize = 5;
/// Avowal may need so many calls of a hundred that the mirror needs.
const SHARE_MAX: usize = 20;

/// Plays the script twice for one service, each time in a world of its own.
pub fn run<S: Service>(test: &str) {
    let seed = Chance::of_run(test);
    let ours = play::<S>(seed.clone(), |pair| {
        let ran = pair.run(&["sync"]);
        assert_eq!(ran.code, 0, "{ran}");
    });
    let theirs = play::<S>(seed, mirror);
    println!("{test}: {ours} calls of Avowal, {theirs} of a mirror: {} of 100", 100 * ours / theirs);
    assert!(ours > 0 && 100 * ours <= SHARE_MAX * theirs, "{ours} calls of Avowal, {theirs} of a mirror");
}

/// The calls of one script, the first agreement included.
fn play<S: Service>(mut chance: Chance, agree: impl Fn(&Pair<S>)) -> usize {
    let pair = Pair::<S>::new(chance.next());
    let mut people = People { pair: &pair, oracle: Oracle::new(S::DELETES), fresh: Fresh::default(), chance };
    // A mirror cannot tell a new customer from one that was deleted, so nobody comes or goes later.
    let customers: Vec<_> = (0..scale(1_000, 200)).map(|_| people.fresh.whole_customer()).collect();
    pair.insert_app(&customers);
    pair.insert_service(&customers);
    for (email, fields) in &customers {
        let fields: Vec<_> = fields.iter().map(|(field, text)| (*field, Some(text.clone()))).collect();
        people.oracle.wrote(By::App, email, &fields);
        people.oracle.wrote(By::Service, email, &fields);
    }
    agree(&pair);
    for _ in 0..DAYS {
        people.play(Batch { edits: customers.len() / 50, clashes: 2, new: 0, deletes: 0 });
        agree(&pair);
    }
    pair.proxy.take_calls().len()
}

/// Lists all, then writes everything of the app to the service and everything of the service to the app.
fn mirror<S: Service>(pair: &Pair<S>) {
    let caller = Caller::new(&pair.proxy.url(), &pair.service.headers()).unwrap();
    let mut listed: Vec<Value> = Vec::new();
    loop {
        let last = listed.last().and_then(|last| last["id"].as_str());
        let answer = caller.get(&S::page(listed.len(), last)).unwrap();
        let page = answer.pointer(S::ITEMS).and_then(Value::as_array).cloned().unwrap_or_default();
        let short = page.len() < S::PAGE;
        listed.extend(page);
        if short {
            break;
        }
    }
    let app = pair.app_side();
    for object in &listed {
        let (_, fields) = &app[object["email"].as_str().unwrap()];
        let body = super::customer::remote(fields, S::named);
        S::change(&caller, object["id"].as_str().unwrap(), &json!(body));
    }
    let service = super::customer::read_side(S::NAME, &listed, S::named);
    let rows: Vec<_> = service
        .into_iter()
        .map(|(email, (_, fields))| {
            (email, fields.into_iter().map(|(field, text)| (field, Some(text))).collect())
        })
        .collect();
    pair.edit_app(&rows);
}
