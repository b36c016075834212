//! What one run did, told from the events that it made.

use crate::ports::store::{KeepRuns, Run, RunCounts, RunFigure, StoreError};
use crate::run::prepare::OWN_ENTITY;
use avowal_core::data::ids::{EntityName, FieldName, RecordId, RunId, SystemName};
use avowal_core::history::{Body, IntegrationEvent};
use serde::Serialize;
use std::collections::BTreeMap;

/// How many events are read at once.
const PAGE_EVENTS: usize = 1_000;

/// How many records are named one by one.
const NAMED_RECORDS_MAX: usize = 20;

/// A run with everything that its events add up to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RunAccount {
    /// The run. Its counts are counted anew.
    #[serde(flatten)]
    pub run: Run,
    /// How many records it touched, by entity.
    pub records: BTreeMap<EntityName, u64>,
    /// How often it changed the belief of each field, by entity.
    pub fields: BTreeMap<EntityName, BTreeMap<FieldName, u64>>,
    /// What it had to do with each system.
    pub systems: BTreeMap<SystemName, SystemAccount>,
    /// The first records that it touched.
    pub touched: Vec<TouchedRecord>,
}

/// What a run had to do with one system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct SystemAccount {
    /// Observations that told something.
    pub observations: u64,
    /// Writes that were confirmed.
    pub writes_confirmed: u64,
    /// Attempts that failed.
    pub writes_failed: u64,
    /// Writes and fields that were set aside.
    pub set_aside: u64,
}

/// One record that a run touched.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TouchedRecord {
    /// The kind of record.
    pub entity: EntityName,
    /// Which one.
    pub record: RecordId,
    /// How many events the run made of it.
    pub events: u64,
}

/// Tells what a run did; `None` if there is no such run. Reads every event of the run once.
pub async fn account_of(
    store: &(impl KeepRuns + ?Sized),
    run: RunId,
) -> Result<Option<RunAccount>, StoreError> {
    let Some(run) = store.find_run(run).await? else { return Ok(None) };
    let mut account = RunAccount {
        run: Run { counts: RunCounts::default(), ..run },
        records: BTreeMap::new(),
        fields: BTreeMap::new(),
        systems: BTreeMap::new(),
        touched: Vec::new(),
    };
    let mut after: Option<(RecordId, u64)> = None;
    loop {
        let page = store.run_events(account.run.id, after.clone(), PAGE_EVENTS).await?;
        let mut before = after.take().map(|(record, _)| record);
        for event in &page {
            account.add(event, before.as_ref() != Some(&event.record));
            before = Some(event.record.clone());
        }
        let Some(last) = page.last() else { return Ok(Some(account)) };
        after = Some((last.record.clone(), last.seq));
    }
}

impl RunAccount {
    fn add(&mut self, event: &IntegrationEvent, is_first: bool) {
        self.run.counts.count(event);
        if is_first && event.entity.as_str() != OWN_ENTITY {
            *self.records.entry(event.entity.clone()).or_default() += 1;
            if self.touched.len() < NAMED_RECORDS_MAX {
                let (entity, record) = (event.entity.clone(), event.record.clone());
                self.touched.push(TouchedRecord { entity, record, events: 0 });
            }
        }
        if let Some(last) = self.touched.last_mut().filter(|last| last.record == event.record) {
            last.events += 1;
        }
        if let Body::FieldChanged { field, .. } = &event.body {
            let fields = self.fields.entry(event.entity.clone()).or_default();
            *fields.entry(field.clone()).or_default() += 1;
        }
        if let Some((figure, Some(system))) = RunFigure::of(&event.body) {
            self.systems.entry(system.clone()).or_default().count(figure);
        }
    }
}

impl SystemAccount {
    fn count(&mut self, figure: RunFigure) {
        *match figure {
            RunFigure::Observation => &mut self.observations,
            RunFigure::WriteConfirmed => &mut self.writes_confirmed,
            RunFigure::WriteFailed => &mut self.writes_failed,
            RunFigure::SetAside => &mut self.set_aside,
            // They are about no system of their own.
            RunFigure::FieldChanged | RunFigure::ReviewOpened => return,
        } += 1;
    }
}
