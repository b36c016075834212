//! Reconciliations: what a comparison of the systems with the store has found, and where that is kept.

use crate::ports::store::StoreError;
use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, FieldName, RecordId, RemoteId, RunId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Value;
use avowal_core::data::version::VersionVector;
use avowal_core::history::RecommendedAction;
use avowal_core::policy::Repair;
use avowal_core::record::Subject;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many reconciliations are kept; older ones are forgotten with their differences.
pub const RECONCILIATIONS_KEPT: u64 = 30;

/// Keeping what reconciliations have found.
///
/// Like runs they stand beside the history: they may be kept while another process writes, and change nothing else. Only
/// the newest [`RECONCILIATIONS_KEPT`] are kept.
#[async_trait]
pub trait KeepReconciliations: Send + Sync {
    /// Keeps a report with its differences, whole or not at all, and forgets old ones.
    async fn keep_reconciliation(
        &self,
        report: &Reconciliation,
        differences: &[ReconciliationDifference],
    ) -> Result<(), StoreError>;

    /// Up to `limit` reports, the newest first.
    async fn reconciliations(&self, limit: usize) -> Result<Vec<Reconciliation>, StoreError>;

    /// The report of one run; `None` if it has left none or was forgotten.
    async fn reconciliation(&self, run: RunId) -> Result<Option<Reconciliation>, StoreError>;

    /// Up to `limit` differences of one report with a higher number than `after`, in order.
    async fn differences(
        &self,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<ReconciliationDifference>, StoreError>;
}

/// One comparison of systems with the store.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Reconciliation {
    /// The run that made it.
    pub run: RunId,
    /// When it was done.
    pub made_at: Timestamp,
    /// How long after a change nothing is concluded, in milliseconds, by system.
    pub settle_ms: BTreeMap<SystemName, u64>,
    /// What was found, for each entity and system.
    pub summaries: Vec<ReconciliationSummary>,
    /// Copies about which nothing is concluded yet, each with its reason; the first of them.
    pub unsettled: Vec<UnsettledCopy>,
    /// How many differences are kept.
    pub differences: u64,
    /// How many there are of each recommended action, those included that are not kept.
    pub actions: BTreeMap<RecommendedAction, u64>,
    /// How many more were found than are kept.
    pub differences_left_out: u64,
    /// What the differing copies showed; the first of them.
    pub snapshots: Vec<EntitySnapshot>,
}

/// The state of one entity in one system, compared with what the store holds of it at the same mark.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ReconciliationSummary {
    /// Which system.
    pub system: SystemName,
    /// Which kind of record.
    pub entity_type: EntityName,
    /// When the system's snapshot was begun.
    pub captured_at: Timestamp,
    /// When its last page came.
    pub captured_until: Timestamp,
    /// Where the change feed stood before the listing; absent where there is no feed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark_before: Option<String>,
    /// Where it stood after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark_after: Option<String>,
    /// Why nothing is concluded from the snapshot, where it is not whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
    /// The copies that the store holds, without the unsettled ones.
    pub local_record_count: u64,
    /// The copies that the system shows, without the unsettled ones.
    pub external_record_count: u64,
    /// The order-free digest of what the store holds of these copies.
    pub local_hash: String,
    /// The order-free digest of what the system shows of them.
    pub external_hash: String,
    /// Whether the snapshot is whole and both sides are equal.
    pub matches: bool,
    /// How many copies were compared in each field, and in how many of them it differs.
    pub fields: BTreeMap<FieldName, FieldAgreement>,
    /// Copies that the store holds and the system does not.
    pub missing: u64,
    /// Copies that the system shows and the store does not hold.
    pub unknown: u64,
    /// Copies about which nothing is concluded yet.
    pub unsettled: u64,
}

/// How far the copies agree in one field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FieldAgreement {
    /// How many copies were compared.
    pub compared: u64,
    /// In how many of them the field differs.
    pub differing: u64,
}

/// What one system showed of one copy at a point in time, in canonical terms.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EntitySnapshot {
    /// `{run}-{number}`, unique in the store.
    pub id: String,
    /// The kind of record.
    pub entity_type: EntityName,
    /// The record, where the copy is linked.
    pub entity_id: Option<RecordId>,
    /// Which system.
    pub system: SystemName,
    /// The copy's id there.
    pub remote_id: RemoteId,
    /// What it showed; `None` where there was no copy.
    pub state: Option<BTreeMap<FieldName, Value>>,
    /// The changes that the copy provably includes, as the store knows.
    pub version: VersionVector,
    /// When it was captured.
    pub captured_at: Timestamp,
}

/// One difference between what is believed and what a system shows.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ReconciliationDifference {
    /// Its number in the report, from 1.
    pub number: u64,
    /// The kind of record.
    pub entity_type: EntityName,
    /// The record; absent where the copy is linked with none.
    pub entity_id: Option<RecordId>,
    /// Which system differs.
    pub system: SystemName,
    /// The copy's id there.
    pub remote_id: RemoteId,
    /// The field, or `(existence)`.
    pub field_name: Subject,
    /// What is believed; absent where nothing is.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "avowal_core::data::value::present"
    )]
    pub local_value: Option<Value>,
    /// What the system shows; absent where it shows nothing.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "avowal_core::data::value::present"
    )]
    pub external_value: Option<Value>,
    /// Whose it is: a system, `shared`, or `person`.
    pub owner: String,
    /// What the rules would do about it.
    pub recommended_action: RecommendedAction,
    /// How far a repair may go.
    pub repair: Repair,
    /// Why, as a sentence.
    pub reason: String,
}

/// A copy about which nothing is concluded yet.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct UnsettledCopy {
    /// The kind of record.
    pub entity_type: EntityName,
    /// Which system.
    pub system: SystemName,
    /// The copy's id there.
    pub remote_id: RemoteId,
    /// Why, in words.
    pub reason: String,
}

impl Reconciliation {
    /// How many differences wait for a repair or a person: all that the rules do not leave as they are.
    pub fn waiting(&self) -> u64 {
        let waits = |(action, _): &(&RecommendedAction, &u64)| **action != RecommendedAction::Ignore;
        self.actions.iter().filter(waits).map(|(_, count)| count).sum()
    }

    /// The snapshots that were not whole.
    pub fn incomplete(&self) -> impl Iterator<Item = &ReconciliationSummary> {
        self.summaries.iter().filter(|summary| summary.incomplete.is_some())
    }
}
