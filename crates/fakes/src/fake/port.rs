//! The connector's side of a fake system.

use super::rows::Version;
use super::{Call, FakeSystem, Fault, FeedKind, Kind, State, pause};
use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Value;
use avowal_core::record::intent::Operation;
use avowal_core::record::observation::OrderToken;
use avowal_engine::ports::connector::{
    Capabilities, Change, Connector, ConnectorError, ConnectorErrorKind, Delivery, Fields, Finding,
    OrderKind, Page, RemoteState, Write, WriteOutcome,
};
use avowal_engine::ports::store::Cursor;
use std::collections::BTreeMap;

#[async_trait]
impl Connector for FakeSystem {
    fn capabilities(&self, _: &EntityName) -> Capabilities {
        self.profile.capabilities.clone()
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        self.reach(Kind::Install).map(|()| Vec::new())
    }

    async fn install(&self) -> Result<Vec<String>, ConnectorError> {
        pause().await;
        self.reach(Kind::Install).map(|()| Vec::new())
    }

    async fn uninstall(&self) -> Result<Vec<String>, ConnectorError> {
        self.reach(Kind::Install).map(|()| Vec::new())
    }

    async fn feed_position(&self, _: &EntityName) -> Result<Cursor, ConnectorError> {
        pause().await;
        self.reach(Kind::Position)?;
        Ok(Cursor(self.state().rows.last_seq().to_string()))
    }

    async fn list(
        &self,
        entity: &EntityName,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, ConnectorError> {
        pause().await;
        self.reach(Kind::List)?;
        let mut state = self.state();
        state.calls.lists += 1;
        if let Some(error) = state.list_errors.pop_front() {
            return Err(error);
        }
        let mut rows = self.rows_shown(&state, entity, 0);
        rows.truncate(state.listing_max.unwrap_or(usize::MAX));
        let cut = state.fate.as_ref().and_then(|fate| fate.listing_max(&self.name, rows.len()));
        rows.truncate(cut.unwrap_or(usize::MAX));
        let rest =
            rows.into_iter().filter(|(id, _)| cursor.is_none_or(|after| id.as_str() > after.0.as_str()));
        let rest: Vec<_> = rest.take(limit + 1).collect();
        let more = rest.len() > limit;
        let changes: Vec<Change> = rest
            .into_iter()
            .take(limit)
            .map(|(id, version)| Change { correlation: None, ..self.change(&state, id, version) })
            .collect();
        let next = changes.last().map_or_else(String::new, |change| change.id.to_string());
        Ok(Page { changes, next: Cursor(next), more })
    }

    async fn changes(
        &self,
        entity: &EntityName,
        cursor: &Cursor,
        limit: usize,
    ) -> Result<Page, ConnectorError> {
        pause().await;
        self.reach(Kind::Changes)?;
        let mut state = self.state();
        state.calls.changes += 1;
        if state.is_restored {
            let message = "its change log has gone back in time: it was restored from a backup";
            return Err(ConnectorError::new(ConnectorErrorKind::IdentityChanged, message, None));
        }
        let after: u64 = cursor.0.parse().map_err(|_| expired())?;
        if after < state.expired_below {
            return Err(expired());
        }
        let end = if state.is_blind { after } else { state.feed_end.unwrap_or(u64::MAX) };
        let end = end.min(self.first_hidden(&state, entity, after));
        let entries = state.rows.after(entity, after).filter(|entry| entry.version.seq <= end);
        let entries: Vec<_> = entries.take(limit + 1).cloned().collect();
        let more = entries.len() > limit;
        let entries = &entries[..entries.len().min(limit)];
        let next = entries.last().map_or(after, |entry| entry.version.seq);
        let changes = match self.profile.feed {
            FeedKind::Images => entries
                .iter()
                .filter(|entry| entry.version.fields.is_some() || self.profile.capabilities.deletes_in_feed)
                .map(|entry| match self.has_true_order() {
                    true => self.change(&state, &entry.id, &entry.version),
                    // It may be old by now, and only hints at a change.
                    false => self.image(&state, &entry.id, &entry.version),
                })
                .collect(),
            FeedKind::Present | FeedKind::Ids => {
                // Each row once, in the order of its last change, as it is now.
                let latest: BTreeMap<u64, &RemoteId> = entries
                    .iter()
                    .map(|entry| (&entry.id, entry.version.seq))
                    .collect::<BTreeMap<_, _>>()
                    .into_iter()
                    .map(|(id, seq)| (seq, id))
                    .collect();
                latest.into_values().filter_map(|id| self.present(&state, entity, id)).collect()
            }
        };
        Ok(Page { changes, next: Cursor(next.to_string()), more })
    }

    async fn read(&self, entity: &EntityName, ids: &[RemoteId]) -> Result<Vec<Change>, ConnectorError> {
        pause().await;
        self.reach(Kind::Read)?;
        let mut state = self.state();
        state.calls.reads += ids.len() as u64;
        if let Some(witness) = &state.witness {
            ids.iter().for_each(|id| witness.called(&self.name, Call::Read(id)));
        }
        let fails = |id: &RemoteId| {
            let fated = || state.fate.as_ref()?.read_fails(&self.name, id);
            state.unread.get(id).cloned().or_else(fated)
        };
        let shown = |id: &RemoteId| state.rows.at(entity, id, self.read_at_ms(&state, id));
        let one = |id: &RemoteId| match shown(id).filter(|_| !self.hides(&state, id)) {
            _ if fails(id).is_some() => {
                Change::bare(id.clone(), RemoteState::Unread { reason: fails(id).unwrap_or_default() })
            }
            Some(version) => Change { correlation: None, ..self.change(&state, id, version) },
            None => Change::bare(id.clone(), RemoteState::Gone),
        };
        Ok(ids.iter().map(one).collect())
    }

    async fn find(&self, entity: &EntityName, fields: &Fields) -> Result<Vec<Change>, ConnectorError> {
        pause().await;
        self.reach(Kind::Find)?;
        let mut state = self.state();
        state.calls.finds += 1;
        if let Some(witness) = &state.witness {
            witness.called(&self.name, Call::Find);
        }
        if !self.profile.capabilities.searchable {
            return Ok(Vec::new());
        }
        Ok(self.search(&state, entity, fields))
    }

    async fn write(&self, entity: &EntityName, writes: &[Write]) -> Vec<WriteOutcome> {
        let mut outcomes: Vec<WriteOutcome> = Vec::with_capacity(writes.len());
        for write in writes {
            // A system that has asked for a pause is not asked for the rest of the batch.
            if let Some(closed @ WriteOutcome::Retry { after_ms: Some(_), .. }) = outcomes.last() {
                outcomes.push(closed.clone());
                continue;
            }
            let _under_way = self.under_way(write);
            pause().await;
            let (outcome, hangs) = self.write_one(entity, write);
            if hangs {
                std::future::pending::<()>().await;
            }
            pause().await;
            outcomes.push(outcome);
        }
        outcomes
    }

    fn decode(&self, delivery: &Delivery) -> Result<Vec<(EntityName, Change)>, ConnectorError> {
        let wrong = || ConnectorError::new(ConnectorErrorKind::Protocol, "not a delivery of ours", None);
        let body: serde_json::Value = serde_json::from_slice(&delivery.body).map_err(|_| wrong())?;
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let (Some(entity), Some(id)) = (text("entity"), text("id")) else { return Err(wrong()) };
        let id = RemoteId::new(id);
        let shown = match (self.profile.bodies, &body["fields"]) {
            (false, _) => RemoteState::Unknown,
            (true, serde_json::Value::Null) => RemoteState::Gone,
            (true, fields) => {
                RemoteState::Present(serde_json::from_value(fields.clone()).map_err(|_| wrong())?)
            }
        };
        if let (RemoteState::Present(_), Some(seq), Some(witness), true) =
            (&shown, body["seq"].as_u64(), &self.state().witness, self.has_true_order())
        {
            witness.called(&self.name, Call::Returned { id: &id, seq });
        }
        let order = match self.profile.capabilities.order {
            OrderKind::CommitLog | OrderKind::Counter => body["seq"].as_u64().map(OrderToken::Sequence),
            OrderKind::Time | OrderKind::None => None,
        };
        let change = Change { order, correlation: text("key"), ..Change::bare(id, shown) };
        Ok(vec![(EntityName::new(entity), change)])
    }

    async fn adopt(&self, _: &EntityName, cursor: &Cursor) -> Result<(), ConnectorError> {
        self.reach(Kind::Install)?;
        let mut state = self.state();
        state.rows.go_on_after(cursor.0.parse().unwrap_or_default());
        state.is_restored = false;
        Ok(())
    }

    async fn wait(&self) {
        self.wake.notified().await;
    }
}

fn expired() -> ConnectorError {
    ConnectorError::new(ConnectorErrorKind::CursorExpired, "the position has been forgotten", None)
}

impl FakeSystem {
    fn reach(&self, kind: Kind) -> Result<(), ConnectorError> {
        let state = self.state();
        if let Some(error) = &state.down {
            return Err(error.clone());
        }
        state.fate.as_ref().and_then(|fate| fate.call(&self.name, kind)).map_or(Ok(()), Err)
    }

    /// As of which time a read shows the row.
    pub(super) fn read_at_ms(&self, state: &State, id: &RemoteId) -> i64 {
        let fated = state.fate.as_ref().map_or(0, |fate| fate.lag_ms(&self.name, id));
        self.now_ms().saturating_sub(state.lag_ms.max(fated))
    }

    /// Tells the witness for how long a write is under way, also if it is dropped.
    fn under_way(&self, write: &Write) -> Option<UnderWay<'_>> {
        let witness = self.state().witness.clone()?;
        witness.called(&self.name, Call::Write(write));
        Some(UnderWay { system: self, key: write.key.clone() })
    }

    /// One version of a row as the connector shows it, and as the engine may believe it.
    fn change(&self, state: &State, id: &RemoteId, version: &Version) -> Change {
        if let Some(witness) = state.witness.as_ref().filter(|_| state.is_readable(id, version)) {
            witness.called(&self.name, Call::Returned { id, seq: version.seq });
        }
        self.image(state, id, version)
    }

    /// Whether what stood there at some time proves its place by itself.
    fn has_true_order(&self) -> bool {
        match self.profile.capabilities.order {
            OrderKind::CommitLog | OrderKind::Counter => true,
            OrderKind::Time | OrderKind::None => false,
        }
    }

    /// One version of a row as it was.
    fn image(&self, state: &State, id: &RemoteId, version: &Version) -> Change {
        let shown = match &version.fields {
            None => RemoteState::Gone,
            Some(_) if !state.is_readable(id, version) => RemoteState::Unreadable {
                reason: "the row holds bytes that are no text".to_owned(),
                payload: "\u{fffd}\u{fffd}".to_owned(),
            },
            Some(fields) => RemoteState::Present(fields.clone()),
        };
        let at_ms = version.at_ms.saturating_add(state.skew_ms);
        let at = Timestamp::from_millis(at_ms);
        let order = match self.profile.capabilities.order {
            OrderKind::CommitLog | OrderKind::Counter => Some(OrderToken::Sequence(version.seq)),
            OrderKind::Time => Some(OrderToken::Time(Timestamp::from_millis(at_ms / 1000 * 1000))),
            OrderKind::None => None,
        };
        Change {
            id: id.clone(),
            shown,
            order,
            version: self.profile.etags.then(|| format!("v{}", version.seq)),
            correlation: version.key.clone().filter(|_| self.profile.capabilities.correlation),
            actor: None,
            occurred_at: Some(at),
        }
    }

    /// A changed row as it is now, as far as the feed shows it.
    fn present(&self, state: &State, entity: &EntityName, id: &RemoteId) -> Option<Change> {
        let version = state.rows.at(entity, id, i64::MAX)?;
        if version.fields.is_none() && !self.profile.capabilities.deletes_in_feed {
            return None;
        }
        match self.profile.feed {
            FeedKind::Ids => Some(Change::bare(id.clone(), RemoteState::Unknown)),
            FeedKind::Images | FeedKind::Present => Some(self.change(state, id, version)),
        }
    }

    fn search(&self, state: &State, entity: &EntityName, fields: &Fields) -> Vec<Change> {
        let index_lag = state.fate.as_ref().map_or(0, |fate| fate.index_lag_ms(&self.name));
        let rows = self.rows_shown(state, entity, index_lag).into_iter();
        let fits = |version: &Version| {
            let row = version.fields.as_ref();
            row.is_some_and(|row| fields.iter().all(|(name, value)| row.get(name) == Some(value)))
        };
        rows.filter(|(_, version)| fits(version))
            .take(10)
            .map(|(id, version)| Change { correlation: None, ..self.change(state, id, version) })
            .collect()
    }

    /// Carries out one write under its fault. Answers whether the call never returns.
    fn write_one(&self, entity: &EntityName, write: &Write) -> (WriteOutcome, bool) {
        let mut state = self.state();
        state.calls.writes += 1;
        let now = self.now_ms();
        state.written_at.push(now);
        if let Some(error) = &state.down {
            return (WriteOutcome::Retry { after_ms: None, reason: error.to_string() }, false);
        }
        let lost = || WriteOutcome::Unknown { reason: "the answer did not come".to_owned() };
        let fated = |state: &State| state.fate.as_ref()?.write(&self.name, write);
        match next_fault(&mut state, write).or_else(|| fated(&state)) {
            None => (self.apply(&mut state, entity, write), false),
            Some(Fault::TimeoutBefore) => (lost(), false),
            Some(Fault::CrashBefore) => (lost(), true),
            Some(fault @ (Fault::TimeoutAfter | Fault::CrashAfter)) => {
                self.apply(&mut state, entity, write);
                (lost(), fault == Fault::CrashAfter)
            }
            Some(Fault::ShownLate(ms)) => {
                if let WriteOutcome::Confirmed { id, .. } = self.apply(&mut state, entity, write) {
                    state.shown_from.insert(id, now.saturating_add(ms));
                }
                (WriteOutcome::Unknown { reason: "accepted, not yet done".to_owned() }, false)
            }
            Some(Fault::Unauthorised) => {
                (WriteOutcome::Unauthorised { reason: "401 unauthorised".to_owned() }, false)
            }
            Some(Fault::Limited(ms)) => {
                (WriteOutcome::Retry { after_ms: Some(ms), reason: "too many requests".to_owned() }, false)
            }
            Some(Fault::Unavailable) => {
                (WriteOutcome::Retry { after_ms: None, reason: "out of order".to_owned() }, false)
            }
            Some(Fault::Reject(reason)) => (WriteOutcome::Rejected { reason }, false),
            Some(Fault::Conflict) => {
                (WriteOutcome::Conflict { reason: "somebody came between".to_owned() }, false)
            }
        }
    }

    fn apply(&self, state: &mut State, entity: &EntityName, write: &Write) -> WriteOutcome {
        let idempotent = self.profile.capabilities.idempotent;
        if let Some(answer) = state.answers.get(&write.key).filter(|_| idempotent) {
            return answer.clone();
        }
        let outcome = self.carry_out(state, entity, write);
        let had_effect = match &outcome {
            WriteOutcome::Confirmed { .. } => true,
            WriteOutcome::Conflict { .. }
            | WriteOutcome::Exists { .. }
            | WriteOutcome::Missing
            | WriteOutcome::Blocked { .. }
            | WriteOutcome::Unauthorised { .. }
            | WriteOutcome::Rejected { .. }
            | WriteOutcome::Retry { .. }
            | WriteOutcome::Unknown { .. } => false,
        };
        if had_effect {
            *state.effects.entry(write.key.clone()).or_default() += 1;
            state.answers.insert(write.key.clone(), outcome.clone());
        }
        outcome
    }

    fn carry_out(&self, state: &mut State, entity: &EntityName, write: &Write) -> WriteOutcome {
        let refused = state.refused.iter().find(|(column, value)| write.fields.get(column) == Some(value));
        if let Some((column, value)) = refused {
            return WriteOutcome::Rejected { reason: format!("{column} may not be {value}") };
        }
        match (write.operation, &write.id) {
            (Operation::Create, _) => self.create(state, entity, write),
            (Operation::Update | Operation::Delete, Some(id)) => self.change_row(state, entity, id, write),
            (Operation::Update | Operation::Delete, None) => WriteOutcome::Missing,
        }
    }

    fn create(&self, state: &mut State, entity: &EntityName, write: &Write) -> WriteOutcome {
        if self.profile.capabilities.searchable {
            let found = write.lookup.iter().flat_map(|fields| self.search(state, entity, fields)).next();
            if let Some(copy) = found {
                return WriteOutcome::Exists { copy };
            }
        }
        let id = state.rows.next_id(&self.name);
        let row = normalised(state, &write.fields);
        self.confirm(state, entity, id, Some(row), write)
    }

    fn change_row(
        &self,
        state: &mut State,
        entity: &EntityName,
        id: &RemoteId,
        write: &Write,
    ) -> WriteOutcome {
        let known = state.rows.at(entity, id, i64::MAX).filter(|_| !self.hides(state, id));
        let Some(version) = known.cloned() else {
            return WriteOutcome::Missing;
        };
        let Some(mut row) = version.fields.clone() else { return WriteOutcome::Missing };
        let etag = self.profile.etags.then(|| format!("v{}", version.seq));
        if write.version.is_some() && etag.is_some() && write.version != etag {
            return WriteOutcome::Conflict { reason: "the etag is another one by now".to_owned() };
        }
        if self.profile.capabilities.precondition && !write.expected.holds(&row) {
            return WriteOutcome::Conflict { reason: "the row is not what was expected".to_owned() };
        }
        let after = (write.operation == Operation::Update).then(|| {
            row.extend(normalised(state, &write.fields));
            row
        });
        self.confirm(state, entity, id.clone(), after, write)
    }

    fn confirm(
        &self,
        state: &mut State,
        entity: &EntityName,
        id: RemoteId,
        row: Option<Fields>,
        write: &Write,
    ) -> WriteOutcome {
        let exists = row.is_some();
        let mut refusals = state.constraints.iter();
        if let Some(reason) = refusals.find_map(|rule| rule.refusal(&state.rows, entity, &id, row.as_ref())) {
            state.blocked += 1;
            return WriteOutcome::Blocked { reason };
        }
        self.store(state, entity, &id, row, Some(&write.key));
        let receipt =
            state.rows.at(entity, &id, i64::MAX).filter(|_| self.profile.capabilities.receipt && exists);
        let after = receipt.map(|version| Change { correlation: None, ..self.change(state, &id, version) });
        self.automate(state, entity, &id);
        WriteOutcome::Confirmed { id, after }
    }
}

struct UnderWay<'a> {
    system: &'a FakeSystem,
    key: String,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let witness = self.system.state().witness.clone();
        if let Some(witness) = witness {
            witness.called(&self.system.name, Call::Ended(&self.key));
        }
    }
}

impl FakeSystem {
    fn automate(&self, state: &mut State, entity: &EntityName, id: &RemoteId) {
        let (Some(change), Some(row)) = (state.automation.clone(), state.rows.now(entity, id)) else {
            return;
        };
        let changed: Fields = row.iter().map(|(name, value)| (name.clone(), change(name, value))).collect();
        if changed != row {
            self.store(state, entity, id, Some(changed), None);
        }
    }
}

fn next_fault(state: &mut State, write: &Write) -> Option<Fault> {
    let script = state.scripts.iter_mut().find(|script| !script.faults.is_empty() && (script.fits)(write))?;
    if script.pass > 0 {
        script.pass -= 1;
        return None;
    }
    script.faults.pop_front()
}

fn normalised(state: &State, fields: &Fields) -> Fields {
    let Some(normalise) = &state.normaliser else { return fields.clone() };
    let stored = |(name, value): (&String, &Value)| (name.clone(), normalise(name, value));
    fields.iter().map(stored).collect()
}
