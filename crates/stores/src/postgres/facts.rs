//! What a group of commits needs to know before it may be written. Rows that must not move meanwhile are locked,
//! each kind in the order of its key, so that two processes never wait for each other in a circle.

use super::connection::Link;
use super::encode::{DeliveryKey, LinkKey, PreparedCommit, bucket_of};
use super::error::Fault;
use super::in_order::in_order;
use super::{codec_list, column, cursors};
use avowal_engine::ports::bucket::Bucket;
use avowal_engine::ports::store::{CursorName, Position};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;

const LOCK_KEYS: &str = "SELECT bucket FROM key_locks WHERE bucket = ANY($1) ORDER BY bucket FOR UPDATE";

const LOCK_RECORDS: &str = "SELECT r.id, r.seq, r.links, r.match_keys, r.intents, r.reviews
    FROM records r JOIN unnest($1::smallint[], $2::text[]) AS k (bucket, id) ON r.bucket = k.bucket AND r.id = k.id
    ORDER BY r.bucket, r.id FOR UPDATE OF r";

const LOCK_CURSORS: &str = "SELECT c.system, c.entity, c.kind, c.state, c.position
    FROM cursors c JOIN unnest($1::text[], $2::text[], $3::text[]) AS k (system, entity, kind)
    ON c.system = k.system AND c.entity = k.entity AND c.kind = k.kind
    ORDER BY c.system, c.entity, c.kind FOR UPDATE OF c";

const TAKEN: &str = "SELECT d.system, d.key
    FROM dedupe d JOIN unnest($1::smallint[], $2::text[], $3::text[]) AS k (bucket, system, key)
    ON d.bucket = k.bucket AND d.system = k.system AND d.key = k.key";

const HOLDERS: &str = "SELECT l.system, l.entity, l.remote_id, l.record_id
    FROM links l JOIN unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) AS k (bucket, system, entity, remote_id)
    ON l.bucket = k.bucket AND l.system = k.system AND l.entity = k.entity AND l.remote_id = k.remote_id";

const CARRIERS: &str = "SELECT m.entity, m.key, m.record_id
    FROM match_keys m JOIN unnest($1::smallint[], $2::text[], $3::text[]) AS k (bucket, entity, key)
    ON m.bucket = k.bucket AND m.entity = k.entity AND m.key = k.key";

/// The statements above, to be prepared before they are sent together.
pub(super) const STATEMENTS: &[&str] = &[LOCK_KEYS, LOCK_RECORDS, LOCK_CURSORS, TAKEN, HOLDERS, CARRIERS];

/// What is stored of what a group touches.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) records: BTreeMap<String, Stored>,
    pub(super) cursors: BTreeMap<CursorName, Position>,
    /// Deliveries that were taken before, as the index spells them.
    pub(super) taken: BTreeSet<(String, String)>,
    /// Who holds the links that are new to their records.
    pub(super) holders: BTreeMap<LinkKey, String>,
    /// Who carries the keys that nobody else may carry.
    pub(super) carriers: BTreeMap<(String, String), BTreeSet<String>>,
}

/// One record as it is stored, with everything that points to it.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) seq: u64,
    pub(super) links: BTreeSet<LinkKey>,
    pub(super) match_keys: BTreeSet<String>,
    pub(super) intents: BTreeSet<String>,
    pub(super) reviews: BTreeSet<String>,
}

impl Facts {
    /// Begins a transaction, and locks and reads what the commits touch.
    pub(super) async fn gather(link: &Link, commits: &[&PreparedCommit]) -> Result<Self, Fault> {
        let mut facts = Self::default();
        facts.lock(link, commits).await?;
        facts.look_up(link, commits).await?;
        Ok(facts)
    }

    async fn lock(&mut self, link: &Link, commits: &[&PreparedCommit]) -> Result<(), Fault> {
        let keys: BTreeSet<i16> =
            commits.iter().flat_map(|prepared| &prepared.sole).map(|key| key.lock()).collect();
        let keys: Vec<i16> = keys.into_iter().collect();
        let records: BTreeSet<&String> =
            commits.iter().flat_map(|prepared| prepared.records.keys()).collect();
        let buckets: Vec<i16> = records.iter().map(|id| bucket_of(id)).collect();
        let ids: Vec<&str> = records.iter().map(|id| id.as_str()).collect();
        let names: BTreeSet<&CursorName> =
            commits.iter().flat_map(|prepared| &prepared.cursors).map(|step| &step.name).collect();
        let systems: Vec<&str> = names.iter().map(|name| name.system.as_str()).collect();
        let entities: Vec<&str> = names.iter().map(|name| name.entity.as_str()).collect();
        let kinds: Vec<&str> = names.iter().map(|name| name.kind.as_str()).collect();
        let deliveries: Vec<&DeliveryKey> =
            commits.iter().flat_map(|prepared| prepared.deliveries.keys()).collect();
        let delivery_buckets: Vec<i16> = deliveries
            .iter()
            .map(|(system, key)| i16::from(Bucket::of_delivery(system, key).number()))
            .collect();
        let delivery_systems: Vec<&str> = deliveries.iter().map(|(system, _)| system.as_str()).collect();
        let delivery_keys: Vec<String> = deliveries.iter().map(|(_, key)| column::key(key)).collect();
        let answers = in_order(vec![
            link.query_if(!keys.is_empty(), LOCK_KEYS, &[&keys]),
            link.query_if(!ids.is_empty(), LOCK_RECORDS, &[&buckets, &ids]),
            link.query_if(!names.is_empty(), LOCK_CURSORS, &[&systems, &entities, &kinds]),
            link.query_if(
                !deliveries.is_empty(),
                TAKEN,
                &[&delivery_buckets, &delivery_systems, &delivery_keys],
            ),
        ])
        .await;
        let mut answers = answers.into_iter();
        let mut next = || answers.next().unwrap_or_else(|| Ok(Vec::new()));
        next()?;
        for row in next()? {
            let (id, stored) = Stored::read(&row)?;
            self.records.insert(id, stored);
        }
        for row in next()? {
            let (name, position) = cursors::read(&row)?;
            self.cursors.insert(name, position);
        }
        for row in next()? {
            self.taken.insert((row.try_get(0)?, row.try_get(1)?));
        }
        Ok(())
    }

    async fn look_up(&mut self, link: &Link, commits: &[&PreparedCommit]) -> Result<(), Fault> {
        let mut buckets: Vec<i16> = Vec::new();
        let mut links: Vec<&LinkKey> = Vec::new();
        for (id, record) in commits.iter().flat_map(|prepared| &prepared.records) {
            let stored = self.records.get(id);
            for (key, row) in &record.links {
                if stored.is_none_or(|stored| !stored.links.contains(key)) {
                    buckets.push(i16::from(row.bucket.number()));
                    links.push(key);
                }
            }
        }
        let systems: Vec<&str> = links.iter().map(|key| key.0.as_str()).collect();
        let entities: Vec<&str> = links.iter().map(|key| key.1.as_str()).collect();
        let remote_ids: Vec<&str> = links.iter().map(|key| key.2.as_str()).collect();
        let sole: Vec<_> = commits.iter().flat_map(|prepared| &prepared.sole).collect();
        let key_buckets: Vec<i16> = sole.iter().map(|key| key.lock()).collect();
        let key_entities: Vec<&str> = sole.iter().map(|key| key.entity.as_str()).collect();
        let keys: Vec<&str> = sole.iter().map(|key| key.key.as_str()).collect();
        let answers = in_order(vec![
            link.query_if(!links.is_empty(), HOLDERS, &[&buckets, &systems, &entities, &remote_ids]),
            link.query_if(!sole.is_empty(), CARRIERS, &[&key_buckets, &key_entities, &keys]),
        ])
        .await;
        let mut answers = answers.into_iter();
        let mut next = || answers.next().unwrap_or_else(|| Ok(Vec::new()));
        for row in next()? {
            self.holders.insert((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?), row.try_get(3)?);
        }
        for row in next()? {
            let key = (row.try_get(0)?, row.try_get(1)?);
            self.carriers.entry(key).or_default().insert(row.try_get(2)?);
        }
        Ok(())
    }
}

impl Stored {
    fn read(row: &Row) -> Result<(String, Self), Fault> {
        let id: String = row.try_get(0)?;
        let list = |at: usize, name: &str| -> Result<Vec<String>, Fault> {
            let text: Option<String> = row.try_get(at)?;
            codec_list::read(text.as_deref(), || format!("records row {id}, {name}"))
        };
        let stored = Self {
            seq: column::from_number(row.try_get(1)?, || format!("records row {id}, seq"))?,
            links: codec_list::triples(list(2, "links")?),
            match_keys: list(3, "match_keys")?.into_iter().collect(),
            intents: list(4, "intents")?.into_iter().collect(),
            reviews: list(5, "reviews")?.into_iter().collect(),
        };
        Ok((id, stored))
    }
}
