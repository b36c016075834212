//! The exclusive right to work, and the shares of it.

use super::sample::{Stream, at, delivery, records, signal};
use super::{committed, conflicts};
use avowal_core::data::ids::{RecordId, SystemName};
use avowal_engine::ports::bucket::{Bucket, Share, Shares};
use avowal_engine::ports::lanes::{Claim, Lane};
use avowal_engine::ports::store::{Commit, CommitOutcome, Due, MatchKey, SignalReason, Store};
use std::sync::Arc;
use std::time::Duration;

fn feed(system: &str) -> Lane {
    Lane::Feed { system: system.into(), entity: "customer".into() }
}

fn deliver(share: u8) -> Lane {
    Lane::Deliver { system: "crm".into(), share: Share::new(share) }
}

async fn claim(store: &dyn Store, lanes: &[Lane]) -> Claim {
    store.claim(lanes).await.unwrap()
}

/// What is claimed is nobody else's until it is released; other lanes are free meanwhile.
pub async fn claims_are_exclusive(store: Arc<dyn Store>) {
    let mine = claim(&*store, &[feed("crm")]).await;
    assert!(mine.is_firm() && mine.lanes().contains(&feed("crm")));
    assert!(claim(&*store, &[feed("crm")]).await.is_empty());
    let other = claim(&*store, &[feed("crm"), feed("app")]).await;
    assert_eq!(other.lanes().iter().collect::<Vec<_>>(), [&feed("app")]);
    mine.release().await;
    assert!(claim(&*store, &[feed("app")]).await.is_empty());
    assert!(!claim(&*store, &[feed("crm")]).await.is_empty());
    assert!(claim(&*store, &[]).await.is_empty());
}

/// A claim that is dropped is free soon, without anybody giving it back.
pub async fn dropped_claims_are_free(store: Arc<dyn Store>) {
    for _ in 0..3 {
        let mut taken = Claim::none();
        for _ in 0..200 {
            taken = claim(&*store, &[deliver(0), deliver(1)]).await;
            if taken.shares().iter().count() == 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(taken.shares().iter().map(Share::number).collect::<Vec<_>>(), [0, 1]);
        assert!(claim(&*store, &[deliver(1)]).await.is_empty());
        drop(taken);
    }
}

/// Commits go on whatever is claimed: whoever works under a claim commits.
pub async fn claims_hold_up_no_commit(store: Arc<dyn Store>) {
    let lanes: Vec<Lane> = (0..64).map(deliver).collect();
    let mine = claim(&*store, &lanes).await;
    assert_eq!(mine.shares(), Shares::ALL);
    let mut one = Stream::linked("01", "crm", "1");
    one.plan("crm", "k");
    committed(&*store, one.commit()).await;
    mine.release().await;
}

/// Of many who ask at once, one gets it.
pub async fn one_of_many_claims_wins(store: Arc<dyn Store>) {
    for _ in 0..5 {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.claim(&[feed("crm")]).await.unwrap() })
            })
            .collect();
        let mut won = Vec::new();
        for task in tasks {
            won.push(task.await.unwrap());
        }
        won.retain(|claim| !claim.is_empty());
        assert_eq!(won.len(), 1);
        for claim in won {
            claim.release().await;
        }
    }
}

/// What is due is found by its share, and only by that.
pub async fn shares_divide_what_is_due(store: Arc<dyn Store>) {
    let crm = SystemName::from("crm");
    assert!(store.due_shares(&crm, Due::Intents, at(9)).await.unwrap().is_empty());
    let mut expected = Shares::NONE;
    for n in 0..20 {
        let mut one = Stream::linked(&format!("{n:02}"), "crm", &format!("{n}"));
        one.plan("crm", "k");
        expected.insert(Bucket::of_record(&one.state.id).share());
        let signals = vec![signal("crm", &format!("{n}"), at(0), SignalReason::Webhook)];
        committed(&*store, Commit { signals, ..one.commit() }).await;
    }
    let shares = store.due_shares(&crm, Due::Intents, at(9)).await.unwrap();
    assert!(expected.iter().all(|share| shares.contains(share)));
    let mut found: Vec<RecordId> = Vec::new();
    let mut read = 0;
    for share in Shares::ALL.iter() {
        let only: Shares = [share].into_iter().collect();
        let due = store.due_intents(&crm, only, at(9), 100).await.unwrap();
        assert!(due.iter().all(|due| Bucket::of_record(&due.record).share() == share));
        found.extend(due.into_iter().map(|due| due.record));
        let signals = store.due_signals(&crm, only, at(9), 100).await.unwrap();
        assert!(signals.iter().all(|signal| Bucket::of_copy(&signal.copy).share() == share));
        read += signals.len();
    }
    found.sort();
    found.dedup();
    assert_eq!((found.len(), read), (20, 20));
    assert!(store.due_intents(&crm, Shares::NONE, at(9), 100).await.unwrap().is_empty());
    assert!(store.due_shares(&"app".into(), Due::Intents, at(9)).await.unwrap().is_empty());
    let early = at(-1);
    assert!(store.due_shares(&crm, Due::Signals, early).await.unwrap().is_empty());
}

fn sole(key: &str) -> Vec<MatchKey> {
    vec![MatchKey { entity: "customer".into(), key: key.to_owned() }]
}

/// A record is begun for a key only while no other record carries it.
pub async fn sole_keys_have_no_other_carrier(store: Arc<dyn Store>) {
    let keys = |key: &str| vec![key.to_owned()];
    let mut one = Stream::linked("01", "crm", "1");
    let first = records([one.step_with_keys(keys("k"))]);
    committed(&*store, Commit { sole_keys: sole("k"), ..first }).await;
    let second = |id: &str| records([Stream::linked(id, "app", id).step_with_keys(keys("k"))]);
    conflicts(&*store, Commit { sole_keys: sole("k"), ..second("02") }).await;
    // Who does not ask for it may carry it, too; the same key of another entity is another key.
    let mut order = second("03");
    order.records[0].state.entity = "order".into();
    let other = vec![MatchKey { entity: "order".into(), key: "k".to_owned() }];
    committed(&*store, Commit { sole_keys: other, ..order }).await;
    committed(&*store, second("02")).await;
    // The commit's own records do not stand in its way.
    one.push(avowal_core::history::Body::Released { system: "crm".into() });
    let own = records([one.step_with_keys(keys("own"))]);
    committed(&*store, Commit { sole_keys: sole("own"), ..own }).await;
}

/// Many who begin a record for one key at once make one record of it.
pub async fn one_of_many_begins_wins(store: Arc<dyn Store>) {
    for round in 0..4 {
        let key = format!("k{round}");
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let (store, key) = (Arc::clone(&store), key.clone());
                tokio::spawn(async move {
                    let id = format!("{round}-{n}");
                    let step = Stream::linked(&id, "crm", &id).step_with_keys(vec![key.clone()]);
                    let commit = Commit { sole_keys: sole(&key), ..records([step]) };
                    store.commit(commit).await.unwrap()
                })
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            won += usize::from(task.await.unwrap() == CommitOutcome::Committed);
        }
        assert_eq!(won, 1);
        let carriers = store.match_records(&"customer".into(), &[key]).await.unwrap();
        assert_eq!(carriers[0].len(), 1);
    }
}

/// Old deliveries are forgotten, as many as asked for; younger ones stay.
pub async fn old_deliveries_are_forgotten(store: Arc<dyn Store>) {
    let deliveries = (0..10).map(|n| avowal_engine::ports::store::DedupeKey {
        received_at: at(n),
        ..delivery("crm", &format!("d{n}"))
    });
    committed(&*store, Commit { dedupe: deliveries.collect(), ..Commit::default() }).await;
    assert_eq!(store.prune(at(5), 3).await, Ok(3));
    assert_eq!(store.prune(at(5), 100).await, Ok(2));
    assert_eq!(store.prune(at(5), 100).await, Ok(0));
    let keys: Vec<String> = (0..10).map(|n| format!("d{n}")).collect();
    let seen = store.seen_before(&"crm".into(), &keys).await.unwrap();
    assert_eq!(seen, [[false; 5], [true; 5]].concat());
}
