//! Weighs the Postgres store: loads customers with eight fields and a copy in each of two systems, and prints what
//! each table and index takes. `cargo run -p avowal-stores --example weigh [RECORDS]`

use avowal_core::data::value::Value;
use avowal_core::data::version::Dot;
use avowal_core::history::Body;
use avowal_core::record::reason::BeliefRule;
use avowal_core::record::{Belief, Shadow};
use avowal_engine::ports::store::{Commit, CommitChanges, CommitOutcome, RecordCommit};
use avowal_stores::postgres::PostgresStore;
use avowal_testkit::postgres::PrivatePostgres;
use avowal_testkit::store_suite::sample::{Stream, at};
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

const FIELDS: [&str; 8] = ["email", "name", "phone", "stage", "status", "credit", "note", "country"];
const BATCH: usize = 500;
const WRITERS: usize = 4;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let records: usize = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let server = PrivatePostgres::start()?;
    let store = Arc::new(PostgresStore::open(&server.url("postgres")).await?);
    let wal = || server.psql("postgres", "SELECT pg_current_wal_insert_lsn()");
    let (wal_before, began) = (wal()?, Instant::now());
    let tasks: Vec<_> = (0..WRITERS).map(|n| tokio::spawn(load(store.clone(), records, n))).collect();
    for task in tasks {
        task.await??;
    }
    println!("{records} records in {:.1?}", began.elapsed());
    let wal_after = wal()?;
    let wal = format!("SELECT pg_wal_lsn_diff('{}', '{}')", wal_after.trim(), wal_before.trim());
    println!("log: {} bytes", server.psql("postgres", &wal)?.trim());
    server.psql("postgres", "VACUUM ANALYZE")?;
    let sizes =
        "SELECT s.relname, s.n_live_tup, pg_relation_size(relid) + coalesce(pg_relation_size(reltoastrelid), 0),
        pg_indexes_size(relid) FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
        WHERE schemaname = 'avowal_store' AND pg_total_relation_size(relid) > 100000 ORDER BY 3 DESC";
    println!("table | rows | bytes | bytes of indexes\n{}", server.psql("postgres", sizes)?.trim());
    Ok(())
}

async fn load(store: Arc<PostgresStore>, records: usize, writer: usize) -> Result<(), String> {
    let mine: Vec<usize> = (writer..records).step_by(WRITERS).collect();
    for batch in mine.chunks(BATCH) {
        let mut streams: Vec<Stream> = batch.iter().map(|n| customer(*n)).collect();
        for _ in 0..2 {
            let steps: Vec<RecordCommit> = streams.iter_mut().map(Stream::step).collect();
            let commit = Commit { records: steps, ..Commit::default() };
            match store.commit(commit).await.map_err(|error| error.to_string())? {
                CommitOutcome::Committed => {}
                other => return Err(format!("{other:?}")),
            }
            // One change of one field, as it comes in.
            for stream in &mut streams {
                change(stream);
            }
        }
    }
    Ok(())
}

fn customer(n: usize) -> Stream {
    let mut stream =
        Stream::linked(&format!("01jd{n:022}"), "app", &n.to_string()).link("crm", &format!("crm{n:012}"));
    let dot = Dot::new("app", 1);
    for field in FIELDS {
        let value = Value::text(format!("{field} {n:018}"));
        let belief =
            Belief { value: value.clone(), dot: dot.clone(), seq: 1, since: at(1), occurred_at: None };
        stream.state.fields.insert(field.into(), belief);
        for copy in stream.state.copies.values_mut() {
            let shadow = Shadow {
                content: value.clone(),
                base: Some(dot.clone()),
                sent_as: None,
                wrote: None,
                tolerated: false,
                older: Vec::new(),
            };
            copy.fields.insert(field.into(), shadow);
        }
    }
    stream
}

fn change(stream: &mut Stream) {
    let dot = Dot::new("app", 2);
    let value = Value::text("changed once");
    let (field, rule) = ("name".into(), BeliefRule::OwnerSet { owner: "app".into() });
    stream.push(Body::FieldChanged { field, from: None, value: value.clone(), dot: dot.clone(), rule });
    if let Some(belief) = stream.state.fields.get_mut("name") {
        (belief.value, belief.dot) = (value, dot);
    }
}
