//! The durable rate of `avowal sync`, measured with the real binary on real files, beside what one would write by
//! hand on the same files in the same run. Prints a table; asserts nothing about time.
//!
//! `AVOWAL_BENCH_ROWS` sets the size of the tables (10 000 by default).

use rusqlite::Connection;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const CONFIGURATION: &str = r#"
[store]
url = "sqlite:avowal.db"
[systems.app]
connector = "sqlite"
url = "sqlite:app.db"
local = true
[systems.crm]
connector = "sqlite"
url = "sqlite:crm.db"
[entities.customer]
match_on = ["email"]
[entities.customer.fields]
email = { type = "string", owner = "app", strategy = "local_wins" }
name = { type = "string", owner = "app", strategy = "local_wins" }
phone = { type = "string", owner = "shared", strategy = "latest_valid_change", precedence = ["app", "crm"] }
stage = { type = "string", owner = "crm", strategy = "external_wins" }
[entities.customer.systems.app]
object = "customers"
id = "id"
fields = { email = "email", name = "name", phone = "phone", stage = "stage" }
[entities.customer.systems.crm]
object = "customers"
id = "id"
fields = { email = "email", name = "name", phone = "phone", stage = "stage" }
"#;

fn main() -> Outcome<()> {
    let rows: u32 =
        std::env::var("AVOWAL_BENCH_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let folder = tempfile::tempdir()?;
    let place = folder.path();
    std::fs::write(place.join("avowal.toml"), CONFIGURATION)?;
    populate(&place.join("app.db"), rows)?;
    populate(&place.join("crm.db"), rows)?;

    println!(
        "durable rate of `avowal sync` (SQLite <-> SQLite, {rows} rows a side, synchronous=FULL everywhere)\n"
    );
    println!("{:58} {:>9} {:>10} {:>12}", "work", "units", "seconds", "units/s");
    let (first, report) = sync(place)?;
    row("first link by e-mail: copies linked", u64::from(rows) * 2, first);
    row("  events appended to the history", number(&report, "events"), first);

    let half = rows / 2;
    edit(&place.join("app.db"), "phone", half)?;
    edit(&place.join("crm.db"), "stage", half)?;
    let (edits, report) = sync(place)?;
    row("sync of edits on both sides: edits taken and delivered", u64::from(half) * 2, edits);
    row("  events appended to the history", number(&report, "events"), edits);
    let (idle, report) = sync(place)?;
    row("sync with nothing to do: rows held in agreement", u64::from(rows), idle);
    if number(&report, "events") != 0 {
        return Err(format!("a sync with nothing to do appended events: {report}").into());
    }

    println!("\nbeside it, on the same files, without history, policy, conflicts or echoes:");
    edit(&place.join("app.db"), "phone", half)?;
    row("one SQL statement that copies the changed rows", u64::from(half), plain_copy(place)?);
    edit(&place.join("app.db"), "phone", half)?;
    row("a loop by hand: read, compare, one durable update a row", u64::from(half), by_hand(place, half)?);
    row("bare durable commits of one row each", 2_000, bare_commits(place, 2_000)?);
    Ok(())
}

fn populate(file: &Path, rows: u32) -> Outcome<()> {
    let mut connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch(
        "create table customers (id integer primary key, email text unique, name text, phone text, stage text)",
    )?;
    let transaction = connection.transaction()?;
    for n in 0..rows {
        transaction.execute(
            "insert into customers (email, name, phone, stage) values (?1, ?2, ?3, 'lead')",
            (format!("person{n}@example.com"), format!("Person {n}"), format!("+1555{n:07}")),
        )?;
    }
    Ok(transaction.commit()?)
}

fn edit(file: &Path, column: &str, rows: u32) -> Outcome<()> {
    let connection = Connection::open(file)?;
    connection.execute(&format!("update customers set {column} = {column} || '.' where id <= ?1"), [rows])?;
    Ok(())
}

fn sync(place: &Path) -> Outcome<(Duration, serde_json::Value)> {
    let began = Instant::now();
    let output =
        Command::new(env!("CARGO_BIN_EXE_avowal")).args(["sync", "--json"]).current_dir(place).output()?;
    let took = began.elapsed();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok((took, serde_json::from_slice(&output.stdout)?))
}

fn plain_copy(place: &Path) -> Outcome<Duration> {
    let connection = Connection::open(place.join("crm.db"))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute("attach ?1 as app", [place.join("app.db").to_string_lossy()])?;
    let began = Instant::now();
    connection.execute(
        "update customers set phone = a.phone from app.customers a
         where a.email = customers.email and a.phone is not customers.phone",
        [],
    )?;
    Ok(began.elapsed())
}

fn by_hand(place: &Path, rows: u32) -> Outcome<Duration> {
    let app = Connection::open(place.join("app.db"))?;
    let crm = Connection::open(place.join("crm.db"))?;
    crm.pragma_update(None, "synchronous", "full")?;
    let began = Instant::now();
    let mut read = app.prepare("select email, phone from customers where id <= ?1")?;
    let mut changed = read.query([rows])?;
    while let Some(found) = changed.next()? {
        let (email, phone): (String, String) = (found.get(0)?, found.get(1)?);
        crm.prepare_cached("update customers set phone = ?1 where email = ?2 and phone is not ?1")?
            .execute((phone, email))?;
    }
    Ok(began.elapsed())
}

fn bare_commits(place: &Path, count: u32) -> Outcome<Duration> {
    let connection = Connection::open(place.join("bare.db"))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch("create table line (n integer primary key, text text)")?;
    let began = Instant::now();
    for n in 0..count {
        connection.prepare_cached("insert into line values (?1, 'a line of some length')")?.execute([n])?;
    }
    Ok(began.elapsed())
}

fn number(report: &serde_json::Value, key: &str) -> u64 {
    report[key].as_u64().unwrap_or(0)
}

fn row(work: &str, units: u64, took: Duration) {
    let seconds = took.as_secs_f64();
    println!("{work:58} {units:>9} {seconds:>10.3} {:>12.0}", units as f64 / seconds.max(1e-9));
}
