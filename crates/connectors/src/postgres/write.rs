//! Writes: one transaction a call, in statements that carry many rows each.

use super::behind::Behind;
use super::catalogue::table;
use super::document::{can_be_id, holds_nul, ids_sql};
use super::feed::same_database;
use super::image::{self, id_sql};
use super::install::Ours;
use super::locks::{in_the_way, rows_are_held};
use super::plain::{columns_sql, json_texts, shown};
use super::read::{find_all, rows};
use super::refusal::{is_row_error, refused};
use super::reserve::{ReservedKeys, finish_keys, reserve_keys};
use super::session::words;
use super::statement::{Group, JsonTexts, carry_out, groups};
use super::table::{Table, quote};
use avowal_core::data::ids::RemoteId;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{
    Binding, Change, ConnectorError, ConnectorErrorKind, Fields, RemoteState, Write, WriteOutcome,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Transaction};

/// How often a transaction that holds rows waits for others before it leaves the rest of its rows for later.
const WAITS_MAX: u32 = 8;

const IN_USE: &str = "another transaction has locked the row, or a value that it gets";

/// Why the whole transaction did not go through.
enum Stop {
    /// Nothing was done; later it may be.
    Retry(String),
    /// It failed because of some row (a deferred constraint, a lock): how a write that is alone ends.
    Refused(WriteOutcome),
    /// The connection was lost while the commit was under way.
    Unknown(Vec<WriteOutcome>, String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Retry(if in_the_way(&error) { IN_USE.to_owned() } else { words(&error) })
    }
}

impl From<ConnectorError> for Stop {
    fn from(error: ConnectorError) -> Self {
        Stop::Retry(error.to_string())
    }
}

/// Carries out the writes and answers each in order.
pub(super) async fn write(
    ours: &Ours<'_>,
    behind: &Behind,
    binding: &Binding,
    writes: &[Write],
) -> Vec<WriteOutcome> {
    match attempt(ours, behind, binding, writes).await {
        // Each write by itself, so that only the one that caused it fails.
        Err(Stop::Refused(_)) if writes.len() > 1 => {
            let mut outcomes = Vec::with_capacity(writes.len());
            for one in writes {
                let answer = attempt(ours, behind, binding, std::slice::from_ref(one)).await;
                outcomes.extend(answers(answer, 1));
            }
            outcomes
        }
        answer => answers(answer, writes.len()),
    }
}

fn answers(answer: Result<Vec<WriteOutcome>, Stop>, count: usize) -> Vec<WriteOutcome> {
    match answer {
        Ok(outcomes) => outcomes,
        Err(Stop::Refused(outcome)) => vec![outcome; count],
        Err(Stop::Retry(reason)) => vec![WriteOutcome::Retry { after_ms: None, reason }; count],
        // A write that was answered without writing keeps its answer, whatever happened to the others.
        Err(Stop::Unknown(outcomes, reason)) => outcomes
            .into_iter()
            .map(|outcome| match outcome {
                WriteOutcome::Confirmed { .. } => WriteOutcome::Unknown { reason: reason.clone() },
                other @ (WriteOutcome::Conflict { .. }
                | WriteOutcome::Exists { .. }
                | WriteOutcome::Missing
                | WriteOutcome::Blocked { .. }
                | WriteOutcome::Rejected { .. }
                | WriteOutcome::Retry { .. }
                | WriteOutcome::Unauthorised { .. }
                | WriteOutcome::Unknown { .. }) => other,
            })
            .collect(),
    }
}

async fn attempt(
    ours: &Ours<'_>,
    behind: &Behind,
    binding: &Binding,
    writes: &[Write],
) -> Result<Vec<WriteOutcome>, Stop> {
    let session = ours.session;
    // Only a commit that was sent may have an unknown outcome; before that the server rolls back by itself.
    let mut committing = None;
    let bounded =
        session.bounded(async { Ok(transact(ours, behind, binding, writes, &mut committing).await) });
    let result = bounded.await;
    match (result, committing) {
        (Ok(Ok(())), Some(outcomes)) => Ok(outcomes),
        (Ok(Ok(())), None) => Err(Stop::Retry("the transaction ended early".to_owned())),
        (Ok(Err(stop)), _) => {
            session.forget_tables();
            Err(stop)
        }
        (Err(error), Some(outcomes)) => Err(Stop::Unknown(outcomes, error.to_string())),
        (Err(error), None) => Err(error.into()),
    }
}

/// Leaves the outcomes in `committing` just before the commit is sent.
async fn transact(
    ours: &Ours<'_>,
    behind: &Behind,
    binding: &Binding,
    writes: &[Write],
    committing: &mut Option<Vec<WriteOutcome>>,
) -> Result<(), Stop> {
    let session = ours.session;
    let mut lease = session.client().await?;
    let client = lease.get(session)?;
    let table = table(session, client, binding).await?;
    same_database(ours, client, binding, &table, behind).await?;
    if !table.logged {
        let message = format!("the change log of table {} is not installed", table.shown);
        let cure = "`avowal run` and `avowal sync` install it again";
        return Err(session.port_error(ConnectorErrorKind::SchemaDrift, &message, cure).into());
    }
    let mut transaction = client.transaction().await?;
    let reserved = reserve_keys(&transaction, binding, &table, writes).await?;
    let mut batch = Batch {
        binding,
        table: &table,
        writes,
        outcomes: vec![None; writes.len()],
        done: BTreeMap::new(),
        present: JsonTexts::new(),
        waits: 0,
    };
    batch.answer_repeated(&transaction, &reserved).await?;
    batch.refuse_unmapped();
    batch.expect(&transaction).await?;
    batch.look_up(&transaction).await?;
    for group in groups(&table, writes, &batch.open()) {
        batch.apply(&mut transaction, &group).await?;
    }
    batch.receipts(&transaction).await?;
    let key = |(place, id): (&usize, _)| (writes[*place].key.as_str(), id);
    let is_create = |(place, _): &(&usize, _)| writes[**place].operation == Operation::Create;
    let done = batch.done.iter().map(key).collect();
    let made = batch.done.iter().filter(is_create).map(key).collect();
    finish_keys(&transaction, &table, &reserved.fresh, &done, &made).await?;
    let outcomes =
        batch.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(put_off)).collect::<Vec<_>>();
    *committing = Some(outcomes.clone());
    transaction.commit().await.map_err(|error| match error.code() {
        // What waits for a deferred constraint is in nobody's way when it is alone.
        Some(_) if in_the_way(&error) => Stop::Refused(in_use()),
        Some(code) if code.code().starts_with("23") || code.code().starts_with("P0") => {
            Stop::Refused(refused(&error))
        }
        // A server that is going down may have committed already.
        Some(code) if !code.code().starts_with("57") => Stop::Retry(words(&error)),
        Some(_) | None => Stop::Unknown(outcomes, words(&error)),
    })
}

/// Searches that one statement can carry: the same rank among a write's look-ups, the same columns.
type SearchKind<'a> = (usize, Vec<&'a String>);

/// A write that shares its row or its key with another of the batch waits for the next.
fn put_off() -> WriteOutcome {
    let reason = "another write of the same batch concerns the same row".to_owned();
    WriteOutcome::Retry { after_ms: None, reason }
}

/// A write whose row, or a value of it, is another transaction's at present.
fn in_use() -> WriteOutcome {
    WriteOutcome::Retry { after_ms: None, reason: IN_USE.to_owned() }
}

struct Batch<'a> {
    binding: &'a Binding,
    table: &'a Table,
    writes: &'a [Write],
    outcomes: Vec<Option<WriteOutcome>>,
    /// What this transaction has done, by place.
    done: BTreeMap<usize, RemoteId>,
    /// The JSON in the rows that are locked.
    present: JsonTexts,
    /// How often something of the application's was in the way of a statement, and waited for while rows were held.
    waits: u32,
}

impl Batch<'_> {
    /// The writes that still have no answer.
    fn open(&self) -> Vec<usize> {
        (0..self.writes.len()).filter(|place| self.outcomes[*place].is_none()).collect()
    }

    fn answer(&mut self, place: usize, outcome: WriteOutcome) {
        self.outcomes[place] = Some(outcome);
    }

    /// Answers writes that were done before with the rows as they are now, and puts off repetitions of a key.
    async fn answer_repeated(
        &mut self,
        transaction: &Transaction<'_>,
        reserved: &ReservedKeys,
    ) -> Result<(), Stop> {
        let mut seen = BTreeSet::new();
        let ids: Vec<_> = reserved.used.values().cloned().collect();
        let found = rows(transaction, self.binding, self.table, &ids).await?;
        for (place, write) in self.writes.iter().enumerate() {
            if !seen.insert(&write.key) {
                self.answer(place, put_off());
                continue;
            }
            let Some(id) = reserved.used.get(&write.key) else { continue };
            let outcome = match (found.get(id), write.operation) {
                (Some(copy), _) => WriteOutcome::Confirmed { id: id.clone(), after: Some(copy.clone()) },
                (None, Operation::Delete) => WriteOutcome::Confirmed {
                    id: id.clone(),
                    after: Some(Change::bare(id.clone(), RemoteState::Gone)),
                },
                (None, Operation::Create | Operation::Update) => WriteOutcome::Missing,
            };
            self.answer(place, outcome);
        }
        Ok(())
    }

    /// Refuses names that the mapping does not let us write: none of them may reach SQL.
    fn refuse_unmapped(&mut self) {
        for place in self.open() {
            let write = &self.writes[place];
            let writable = |name: &String| {
                self.binding.columns.iter().any(|column| &column.name == name && column.writable)
            };
            let unmapped = write.fields.keys().find(|name| !writable(name));
            let nul = write.fields.iter().find(|(_, value)| holds_nul(value));
            let reason = match (unmapped, nul, write.operation, &write.id) {
                (Some(name), _, _, _) => format!("column {name:?} is not mapped for writing"),
                (None, Some((name, _)), _, _) => {
                    format!("column {name:?}: Postgres cannot hold the character NUL (U+0000)")
                }
                (None, None, Operation::Update | Operation::Delete, None) => {
                    "the write names no row".to_owned()
                }
                (None, None, _, _) => continue,
            };
            self.answer(place, WriteOutcome::Rejected { reason });
        }
    }

    /// Locks the rows to be changed, in the order of their ids, and compares them with what is expected.
    async fn expect(&mut self, transaction: &Transaction<'_>) -> Result<(), Stop> {
        // The bound on waiting travels behind the locks, without a turn of its own.
        let bound = async { rows_are_held(transaction).await.map_err(Stop::from) };
        let (present, ()) = futures::try_join!(self.lock(transaction), bound)?;
        let locked = self.locked_by_others(transaction, &present).await?;
        let mut taken = BTreeSet::new();
        for place in self.open() {
            let write = &self.writes[place];
            let (Operation::Update | Operation::Delete, Some(id)) = (write.operation, &write.id) else {
                continue;
            };
            let outcome = match present.get(id) {
                None if locked.contains(id) => in_use(),
                None => WriteOutcome::Missing,
                Some(fields) if !write.expected.holds(fields) => {
                    WriteOutcome::Conflict { reason: "the row has changed since it was read".to_owned() }
                }
                Some(_) if taken.insert(id) => continue,
                Some(_) => put_off(),
            };
            self.answer(place, outcome);
        }
        Ok(())
    }

    /// The rows that open writes name.
    fn named(&self) -> BTreeSet<&RemoteId> {
        let open = self.open().into_iter();
        open.filter_map(|place| self.writes[place].id.as_ref())
            .filter(|id| can_be_id(self.table, id))
            .collect()
    }

    /// A row that is alone is waited for. Of several, those that another transaction has locked are left out, for we would
    /// hold the others while we wait.
    async fn lock(&mut self, transaction: &Transaction<'_>) -> Result<BTreeMap<RemoteId, Fields>, Stop> {
        let ids: Vec<_> = self.named().into_iter().map(RemoteId::as_str).collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let skip = if ids.len() == 1 { "" } else { " SKIP LOCKED" };
        let sql = format!(
            "SELECT {}{} FROM {} t WHERE {} ORDER BY t.{} FOR UPDATE OF t{skip}",
            id_sql(self.table, "t"),
            columns_sql(self.table, "t"),
            self.table.sql,
            ids_sql(self.table),
            quote(&self.table.id.name),
        );
        let rows = transaction.query_typed(&sql, &[(&ids, Type::TEXT_ARRAY)]).await?;
        let id = |row: &tokio_postgres::Row| RemoteId::from(row.get::<_, String>(0));
        self.present = rows.iter().map(|row| (id(row), json_texts(self.table, row))).collect();
        Ok(rows.iter().map(|row| (id(row), image::into_fields(shown(self.table, row)))).collect())
    }

    /// Which of the named rows are there, although they were left out.
    async fn locked_by_others(
        &self,
        transaction: &Transaction<'_>,
        present: &BTreeMap<RemoteId, Fields>,
    ) -> Result<BTreeSet<RemoteId>, Stop> {
        let named = self.named();
        let left_out: Vec<_> = named.iter().filter(|id| !present.contains_key(**id)).collect();
        if named.len() < 2 || left_out.is_empty() {
            return Ok(BTreeSet::new());
        }
        let ids: Vec<_> = left_out.into_iter().map(|id| id.as_str()).collect();
        let (id, rows) = (id_sql(self.table, "t"), ids_sql(self.table));
        let sql = format!("SELECT {id} FROM {} t WHERE {rows}", self.table.sql);
        let rows = transaction.query_typed(&sql, &[(&ids, Type::TEXT_ARRAY)]).await?;
        Ok(rows.iter().map(|row| RemoteId::from(row.get::<_, String>(0))).collect())
    }

    /// Looks for records that a create would double: in the table, and earlier in the batch.
    async fn look_up(&mut self, transaction: &Transaction<'_>) -> Result<(), Stop> {
        let mut searches: BTreeMap<SearchKind<'_>, Vec<(usize, &Fields)>> = BTreeMap::new();
        let mut earlier: BTreeSet<&Fields> = BTreeSet::new();
        let mut doubled = Vec::new();
        for place in self.open() {
            let write = &self.writes[place];
            if write.operation != Operation::Create {
                continue;
            }
            if write.lookup.iter().any(|lookup| !lookup.is_empty() && !earlier.insert(lookup)) {
                doubled.push(place);
            }
            for (rank, lookup) in write.lookup.iter().enumerate() {
                searches.entry((rank, lookup.keys().collect())).or_default().push((place, lookup));
            }
        }
        for place in doubled {
            self.answer(place, put_off());
        }
        for list in searches.into_values() {
            let list: Vec<_> =
                list.into_iter().filter(|(place, _)| self.outcomes[*place].is_none()).collect();
            let fields: Vec<_> = list.iter().map(|(_, lookup)| *lookup).collect();
            for (at, copy) in self.find(transaction, &fields).await? {
                if let Some((place, _)) = list.get(at)
                    && self.outcomes[*place].is_none()
                {
                    self.answer(*place, WriteOutcome::Exists { copy });
                }
            }
        }
        Ok(())
    }

    /// All searches in one statement, or, where one holds a value that its column's type refuses, one by one.
    async fn find(
        &self,
        transaction: &Transaction<'_>,
        searches: &[&Fields],
    ) -> Result<Vec<(usize, Change)>, Stop> {
        transaction.batch_execute("SAVEPOINT avowal_find").await?;
        match find_all(transaction, self.binding, self.table, searches).await {
            Ok(found) => {
                transaction.batch_execute("RELEASE avowal_find").await?;
                return Ok(found);
            }
            Err(error) if is_row_error(&error) => {}
            Err(error) => return Err(error.into()),
        }
        let mut all = Vec::new();
        for (at, search) in searches.iter().enumerate() {
            transaction.batch_execute("ROLLBACK TO avowal_find").await?;
            match find_all(transaction, self.binding, self.table, &[search]).await {
                Ok(found) => all.extend(found.into_iter().map(|(_, change)| (at, change))),
                Err(error) if is_row_error(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        transaction.batch_execute("ROLLBACK TO avowal_find; RELEASE avowal_find").await?;
        Ok(all)
    }

    /// Carries out a group. A part that fails is halved until the rows that are refused, or in use, stand alone.
    async fn apply(&mut self, transaction: &mut Transaction<'_>, group: &Group) -> Result<(), Stop> {
        let mut parts = VecDeque::from([group.places.clone()]);
        while let Some(part) = parts.pop_front() {
            if self.waits == WAITS_MAX {
                part.into_iter().for_each(|place| self.answer(place, in_use()));
                continue;
            }
            let savepoint = transaction.savepoint("avowal_part").await?;
            let result = carry_out(&savepoint, self.table, group, self.writes, &part, &self.present).await;
            match result {
                Ok(done) if done.len() == part.len() => {
                    savepoint.commit().await?;
                    self.done.extend(done);
                }
                Ok(_) if part.len() == 1 => {
                    savepoint.rollback().await?;
                    let reason = "the database kept the row as it is (a trigger or a row policy)".to_owned();
                    self.answer(part[0], WriteOutcome::Rejected { reason });
                }
                Err(error) if part.len() == 1 && is_row_error(&error) => {
                    savepoint.rollback().await?;
                    self.answer(part[0], refused(&error));
                }
                Err(error) if part.len() == 1 && in_the_way(&error) => {
                    savepoint.rollback().await?;
                    self.answer(part[0], in_use());
                    self.waits += 1;
                }
                Err(error) if !is_row_error(&error) && !in_the_way(&error) => return Err(error.into()),
                result => {
                    self.waits += u32::from(result.is_err_and(|error| in_the_way(&error)));
                    savepoint.rollback().await?;
                    let (left, right) = part.split_at(part.len() / 2);
                    parts.push_front(right.to_vec());
                    parts.push_front(left.to_vec());
                }
            }
        }
        Ok(())
    }

    /// Tells what stands now in every row that was written.
    async fn receipts(&mut self, transaction: &Transaction<'_>) -> Result<(), Stop> {
        let ids: Vec<_> = self.done.values().cloned().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let mut found = rows(transaction, self.binding, self.table, &ids).await?;
        let is_delete = |place: &&usize| self.writes[**place].operation == Operation::Delete;
        let deleted: Vec<&str> = self
            .done
            .keys()
            .filter(is_delete)
            .filter_map(|place| Some(self.done.get(place)?.as_str()))
            .collect();
        let orders = self.orders(transaction, &deleted).await?;
        for (place, id) in self.done.clone() {
            let write = &self.writes[place];
            let after = found.remove(&id).or_else(|| {
                // Somebody else deleted the row meanwhile: it has no state to report, and the engine reads it.
                let deleted = write.operation == Operation::Delete;
                deleted.then(|| image::change(id.clone(), RemoteState::Gone, orders.get(&id).copied()))
            });
            let after = after.map(|after| Change { correlation: Some(write.key.clone()), ..after });
            self.answer(place, WriteOutcome::Confirmed { id, after });
        }
        Ok(())
    }

    /// The newest log row of each deleted row.
    async fn orders(
        &self,
        transaction: &Transaction<'_>,
        ids: &[&str],
    ) -> Result<BTreeMap<RemoteId, i64>, Stop> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let rows = transaction
            .query_typed(
                &format!(
                    "SELECT l.remote_id, max(l.id) FROM {}.log l \
                     WHERE l.entity = $1 AND l.remote_id = ANY($2) AND l.operation = 'delete' GROUP BY 1",
                    self.table.ours
                ),
                &[(&self.binding.entity.as_str(), Type::TEXT), (&ids, Type::TEXT_ARRAY)],
            )
            .await?;
        Ok(rows.iter().map(|row| (RemoteId::from(row.get::<_, String>(0)), row.get(1))).collect())
    }
}
