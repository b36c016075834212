//! P1 and P2 of the performance goals, each beside its floor. Prints rates, never asserts them.
#![allow(clippy::unwrap_used, missing_docs)]

use avowal_core::data::time::Timestamp;
use avowal_core::data::value::{Digest, Value};
use avowal_core::decide::decide;
use avowal_core::decide::diff::diff;
use avowal_core::decide::lifecycle::link;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::history::{Context, LinkReason};
use avowal_core::policy::EntityPolicy;
use avowal_core::record::Record;
use avowal_core::record::observation::{Channel, CopyState, Look, Observation, Place};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use std::collections::BTreeMap;
use std::hint::black_box;

/// 12 fields in 216 bytes, as a provider spells them.
const RAW: &str = r#"{"id":"c-1","email":"ann@example.org","phone":"+49301234","name":"Ann Lee","stage":"lead","tags":["a","b"],"credit":1200,"vat":"DE99","city":"Bonn","zip":"53113","street":"Am Hof 1","since":"2024-05-01","vip":true}"#;
const CHANGED: &str = r#"{"id":"c-1","email":"ann@example.org","phone":"+49305678","name":"Ann Lee","stage":"lead","tags":["a","b"],"credit":1200,"vat":"DE99","city":"Bonn","zip":"53113","street":"Am Hof 1","since":"2024-05-01","vip":true}"#;

fn policy() -> EntityPolicy {
    let fields = json!({
        "email": {"type": "string", "owner": "app", "proposals": ["crm"], "normalize": ["trim", "lowercase"]},
        "phone": {"type": "string", "owner": "shared", "strategy": "latest_valid_change", "precedence": ["app", "crm"]},
        "name": {"type": "string", "owner": "app", "proposals": ["crm"]},
        "stage": {"type": "enum", "values": ["lead", "customer"], "owner": "crm"},
        "tags": {"type": "set", "owner": "shared", "strategy": "merge", "merge": "union"},
        "credit": {"type": "integer", "owner": "shared", "strategy": "merge", "merge": "delta"},
        "vat": {"type": "string", "owner": "app"},
        "city": {"type": "string", "owner": "app"},
        "zip": {"type": "string", "owner": "app"},
        "street": {"type": "string", "owner": "app"},
        "since": {"type": "date", "owner": "app"},
        "vip": {"type": "boolean", "owner": "crm"},
    });
    avowal_testpolicy::policy(&json!({
        "fields": fields,
        "systems": {"app": {"local": true}, "crm": {}, "erp": {}},
    }))
}

/// Raw text to what the decision is made on: parsed, mapped, normalised.
fn read(policy: &EntityPolicy, system: &str, raw: &str) -> CopyState {
    let raw: BTreeMap<String, Value> = serde_json::from_str(raw).unwrap();
    CopyState::Present(policy.mappings[system].read(&policy.fields, &raw).unwrap())
}

fn observation(system: &str, shown: CopyState) -> Observation {
    Observation {
        system: system.into(),
        entity: "customer".into(),
        remote_id: "c-1".into(),
        shown,
        aside: BTreeMap::new(),
        channel: Channel::Feed,
        order: None,
        version: None,
        correlation: None,
        actor: None,
        occurred_at: None,
        received_at: Timestamp::from_millis(0),
        place: Place::InLog,
        look: Look::First,
        is_repair: false,
        lags: false,
    }
}

/// A record that stands equal in all three systems.
fn synced(policy: &EntityPolicy) -> Record {
    let mut record = Record::new("01JD3Q8W9Z5N4K2M7P6R8T0V1X".into(), "customer".into());
    for system in ["app", "crm", "erp"] {
        let mut chronicle = chronicle(record);
        link(&mut chronicle, &system.into(), &"c-1".into(), LinkReason::FirstSeen);
        decide(policy, &mut chronicle, &observation(system, read(policy, system, RAW)));
        record = chronicle.finish().1;
    }
    assert!(record.intents.is_empty(), "the record is at rest");
    record
}

fn chronicle(record: Record) -> Chronicle {
    let context = Context { policy: Some("0123456789ab".into()), ..Context::default() };
    Chronicle::new(record, context, Timestamp::from_millis(1_767_261_600_000))
}

fn benches(criterion: &mut Criterion) {
    let policy = policy();
    let record = synced(&policy);
    let copy = &record.copies["crm"];
    let tree = Value::parse(RAW.as_bytes()).unwrap();

    let mut group = criterion.benchmark_group("core");
    group.throughput(Throughput::Elements(1));
    group.bench_function("floor: canonicalise", |bench| bench.iter(|| black_box(&tree).canonical()));
    group.bench_function("floor: canonicalise + sha256", |bench| bench.iter(|| black_box(&tree).digest()));
    group.bench_function("floor: parse alone", |bench| {
        bench.iter(|| serde_json::from_str::<BTreeMap<String, Value>>(black_box(RAW)).unwrap());
    });
    group.bench_function("P1: parse, map, normalise, diff: no change", |bench| {
        bench.iter(|| {
            let CopyState::Present(shown) = read(&policy, "crm", black_box(RAW)) else { unreachable!() };
            assert!(diff(copy, &shown).is_empty());
        });
    });
    group.bench_function("P1: parse, map, normalise, digest: no change", |bench| {
        let known = copy.content_digest();
        bench.iter(|| {
            let CopyState::Present(shown) = read(&policy, "crm", black_box(RAW)) else { unreachable!() };
            let digest = Digest::of_pairs(shown.iter().map(|(field, value)| (field.as_str(), value)));
            assert_eq!(digest, known);
        });
    });
    let changed = observation("crm", read(&policy, "crm", CHANGED));
    group.bench_function("P2: decide, events, fold, intents", |bench| {
        bench.iter_batched(
            || chronicle(record.clone()),
            |mut chronicle| {
                decide(&policy, &mut chronicle, &changed);
                chronicle
            },
            BatchSize::NumIterations(64),
        );
    });
    group.bench_function("P2 with sealed hashes", |bench| {
        bench.iter_batched(
            || chronicle(record.clone()),
            |mut chronicle| {
                decide(&policy, &mut chronicle, &changed);
                chronicle.finish()
            },
            BatchSize::NumIterations(64),
        );
    });
    group.bench_function("P2 beside it: one state cloned", |bench| bench.iter(|| black_box(&record).clone()));
    group.finish();
}

criterion_group!(core, benches);
criterion_main!(core);
