//! What writes did and would do, counted.

use super::committed;
use super::sample::{Stream, at};
use avowal_core::data::value::Value;
use avowal_core::outgoing::effects::Effect;
use avowal_core::record::intent::{IntentStatus, Operation};
use avowal_engine::ports::store::{Commit, EffectCount, PlannedEffects, SLOT_MS, Store};
use std::collections::BTreeMap;
use std::sync::Arc;

fn count(system: &str, effect: Effect, second: i64, count: i64) -> EffectCount {
    EffectCount { system: system.into(), entity: "customer".into(), effect, at: at(second), count }
}

/// System, effect and number of what is counted, without the times.
async fn shown(store: &dyn Store, system: &str, second: i64) -> Vec<(String, i64)> {
    let counted = store.counted_effects(&system.into(), at(second)).await.unwrap();
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for EffectCount { effect, count, .. } in counted {
        *sums.entry(effect.to_string()).or_default() += count;
    }
    sums.into_iter().collect()
}

/// Updates that take the place of something are counted by what they would do, until they are done.
pub async fn what_updates_would_do_is_counted(store: Arc<dyn Store>) {
    assert_eq!(store.planned_effects(&"crm".into()).await.unwrap(), []);
    let planning = |id: &str, value: Value| {
        let mut stream = Stream::linked(id, "crm", id);
        stream.plan("crm", "k");
        let fields = &mut stream.state.intents.get_mut("crm").unwrap().fields;
        fields.get_mut("email").unwrap().value = value;
        stream
    };
    let mut streams: Vec<Stream> = ["01", "02"].map(|id| planning(id, Value::text("x"))).to_vec();
    streams.push(planning("03", Value::text("y")));
    streams.push(planning("04", Value::Null));
    let mut leaving = planning("05", Value::Null);
    leaving.state.intents.get_mut("crm").unwrap().operation = Operation::Delete;
    streams.push(leaving);
    streams.push(Stream::linked("06", "crm", "06"));
    for stream in &mut streams {
        let part = stream.step();
        committed(&*store, Commit { records: vec![part], ..Commit::default() }).await;
    }
    let set = Effect::SetTo("email".into(), Value::text("x").digest().to_string()[..16].to_owned());
    let mut expected = PlannedEffects {
        entity: "customer".into(),
        copies: 6,
        effects: BTreeMap::from([
            (Effect::Changed, 4),
            (Effect::Blanked("email".into()), 1),
            (Effect::Replaced("email".into()), 3),
            (set, 2),
        ]),
    };
    assert_eq!(store.planned_effects(&"crm".into()).await.unwrap(), [expected.clone()]);
    assert_eq!(store.planned_effects(&"app".into()).await.unwrap(), []);
    // It is as it was when it was planned: what is on its way is counted too, and what is done is not.
    streams[0].set_status("crm", IntentStatus::Sent);
    streams[3].state.intents.clear();
    for at in [0, 3] {
        let part = streams[at].step();
        committed(&*store, Commit { records: vec![part], ..Commit::default() }).await;
    }
    expected.effects.insert(Effect::Changed, 3);
    expected.effects.remove(&Effect::Blanked("email".into()));
    assert_eq!(store.planned_effects(&"crm".into()).await.unwrap(), [expected]);
}

/// The same effect in the same slot is one sum, which may be taken back in part; systems are kept apart.
pub async fn counts_add_up_by_slot(store: Arc<dyn Store>) {
    let slot_s = SLOT_MS / 1_000;
    store.count_effects(&[count("crm", Effect::Sent, 0, 5), count("crm", Effect::Sent, 0, 2)]).await.unwrap();
    store
        .count_effects(&[count("crm", Effect::Sent, slot_s, 7), count("app", Effect::Deleted, 0, 1)])
        .await
        .unwrap();
    store.count_effects(&[count("crm", Effect::Sent, slot_s, -3)]).await.unwrap();
    assert_eq!(shown(&*store, "crm", 0).await, [("sent".to_owned(), 11)]);
    assert_eq!(shown(&*store, "crm", slot_s).await, [("sent".to_owned(), 4)]);
    assert_eq!(shown(&*store, "crm", 2 * slot_s).await, []);
    assert_eq!(shown(&*store, "app", 0).await, [("deleted".to_owned(), 1)]);
    let counted = store.counted_effects(&"crm".into(), at(0)).await.unwrap();
    let begins: Vec<_> = counted.iter().map(|count| count.at).collect();
    let slot = |second| EffectCount::slot_begins(EffectCount::slot_of(at(second)));
    assert_eq!(begins, [slot(0), slot(slot_s)]);
}

/// A commit counts if it is durable, and not otherwise.
pub async fn commits_count_what_they_did(store: Arc<dyn Store>) {
    let effects = vec![count("crm", Effect::Blanked("home phone".into()), 0, 2)];
    let mut one = Stream::linked("01", "crm", "1");
    let part = one.step();
    let commit = Commit { records: vec![part], effects, ..Commit::default() };
    committed(&*store, commit.clone()).await;
    assert_eq!(shown(&*store, "crm", 0).await, [("blanked home phone".to_owned(), 2)]);
    // The record stands elsewhere by now.
    let _ = store.commit(commit).await.unwrap();
    assert_eq!(shown(&*store, "crm", 0).await, [("blanked home phone".to_owned(), 2)]);
}

/// What no guard or budget asks for any more is forgotten: of sent writes after a day, of all others after hours.
pub async fn old_counts_are_forgotten(store: Arc<dyn Store>) {
    let hour_s = 3_600;
    store
        .count_effects(&[count("crm", Effect::Sent, 0, 5), count("crm", Effect::Changed, 0, 5)])
        .await
        .unwrap();
    store.count_effects(&[count("crm", Effect::Sent, 4 * hour_s, 1)]).await.unwrap();
    assert_eq!(shown(&*store, "crm", 0).await, [("sent".to_owned(), 6)]);
    store.count_effects(&[count("app", Effect::Changed, 30 * hour_s, 1)]).await.unwrap();
    assert_eq!(shown(&*store, "crm", 0).await, []);
    assert_eq!(shown(&*store, "app", 0).await, [("changed".to_owned(), 1)]);
}
