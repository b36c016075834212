//! Reconciliations: kept with their differences, told again, and forgotten when they are old.

use super::sample::at;
use avowal_core::data::ids::RunId;
use avowal_core::data::value::Value;
use avowal_core::data::version::{Dot, VersionVector};
use avowal_core::history::RecommendedAction;
use avowal_core::policy::Repair;
use avowal_core::record::Subject;
use avowal_engine::ports::store::{
    EntitySnapshot, FieldAgreement, RECONCILIATIONS_KEPT, Reconciliation, ReconciliationDifference,
    ReconciliationSummary, Store, UnsettledCopy,
};
use std::collections::BTreeMap;
use std::sync::Arc;

fn report(run: u64) -> Reconciliation {
    let summary = ReconciliationSummary {
        system: "crm".into(),
        entity_type: "customer".into(),
        captured_at: at(1),
        captured_until: at(2),
        mark_before: Some("a \u{0} mark".to_owned()),
        mark_after: None,
        incomplete: None,
        local_record_count: 3,
        external_record_count: 2,
        local_hash: "00".repeat(16),
        external_hash: "ff".repeat(16),
        matches: false,
        fields: BTreeMap::from([("email".into(), FieldAgreement { compared: 2, differing: 1 })]),
        missing: 1,
        unknown: 0,
        unsettled: 1,
    };
    let snapshot = EntitySnapshot {
        id: format!("{run}-1"),
        entity_type: "customer".into(),
        entity_id: Some("r1".into()),
        system: "crm".into(),
        remote_id: "c 1".into(),
        state: Some(BTreeMap::from([("email".into(), Value::Null)])),
        version: [Dot::new("app", 2)].into_iter().collect::<VersionVector>(),
        captured_at: at(2),
    };
    Reconciliation {
        run: RunId::new(run),
        made_at: at(3),
        settle_ms: BTreeMap::from([("crm".into(), 15_000)]),
        summaries: vec![summary],
        unsettled: vec![UnsettledCopy {
            entity_type: "customer".into(),
            system: "crm".into(),
            remote_id: "c2".into(),
            reason: "a write is under way".to_owned(),
        }],
        differences: 2,
        actions: BTreeMap::from([(RecommendedAction::UpdateLocal, 2)]),
        differences_left_out: 1,
        snapshots: vec![snapshot],
    }
}

fn difference(number: u64) -> ReconciliationDifference {
    ReconciliationDifference {
        number,
        entity_type: "customer".into(),
        entity_id: None,
        system: "crm".into(),
        remote_id: "c \u{0} 1".into(),
        field_name: Subject::Field("email".into()),
        // Nothing and the value null are two things.
        local_value: (number == 1).then_some(Value::Null),
        external_value: Some(Value::text("日本")),
        owner: "shared".to_owned(),
        recommended_action: RecommendedAction::UpdateLocal,
        repair: Repair::Review,
        reason: "the reason".to_owned(),
    }
}

/// What was kept is told as it was, the newest report first and differences by number; only the newest reports stay.
pub async fn reconciliations_are_kept_and_forgotten(store: Arc<dyn Store>) {
    assert_eq!(store.reconciliations(10).await.unwrap(), []);
    let differences = [difference(1), difference(2)];
    store.keep_reconciliation(&report(7), &differences).await.unwrap();
    assert_eq!(store.reconciliation(RunId::new(7)).await.unwrap(), Some(report(7)));
    assert_eq!(store.reconciliation(RunId::new(8)).await.unwrap(), None);
    assert_eq!(store.differences(RunId::new(7), 0, 10).await.unwrap(), differences);
    assert_eq!(store.differences(RunId::new(7), 1, 10).await.unwrap(), differences[1..]);
    assert_eq!(store.differences(RunId::new(7), 0, 1).await.unwrap(), differences[..1]);
    for run in 8..8 + RECONCILIATIONS_KEPT {
        assert!(store.reconciliation(RunId::new(7)).await.unwrap().is_some(), "forgotten before {run}");
        store.keep_reconciliation(&report(run), &[]).await.unwrap();
    }
    assert_eq!(store.reconciliation(RunId::new(7)).await.unwrap(), None);
    assert_eq!(store.differences(RunId::new(7), 0, 10).await.unwrap(), []);
    let newest = store.reconciliations(2).await.unwrap();
    assert_eq!(
        newest.iter().map(|report| report.run.number()).collect::<Vec<_>>(),
        [7 + RECONCILIATIONS_KEPT, 6 + RECONCILIATIONS_KEPT]
    );
}
