//! The durable rate of `avowal sync` between two SQLite files, beside what one would write by hand on the same files.

use crate::avowal::{Ran, Workspace};
use crate::report::{Report, count};
use crate::{Outcome, plot};
use rusqlite::Connection;
use std::path::Path;
use std::time::{Duration, Instant};

/// Two SQLite files with a table each.
pub const CONFIGURATION: &str = r#"
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

/// How many rows are edited a side, at most.
const EDITS_MAX: u64 = 10_000;

/// Measures first link, edits and rest.
pub fn measure(report: &mut Report, rows: u64) -> Outcome<()> {
    let rows = rows.min(100_000);
    let place = Workspace::new(CONFIGURATION)?;
    populate(&place.path("app.db"), rows)?;
    populate(&place.path("crm.db"), rows)?;
    let mut table = Vec::new();
    let mut row = |work: &str, units: u64, took: Duration, peak_mb: Option<f64>| {
        let rate = units as f64 / took.as_secs_f64().max(1e-9);
        let memory = peak_mb.map_or_else(String::new, |mb| format!("{mb:.0}"));
        table.push(vec![
            work.to_owned(),
            count(units as f64),
            format!("{:.3}", took.as_secs_f64()),
            count(rate),
            memory,
        ]);
        rate
    };
    let first = place.sync(&[])?;
    let linked = row("first link by e-mail: copies linked", rows * 2, first.took, Some(first.peak_mb));
    let half = (rows / 2).min(EDITS_MAX);
    edit(&place.path("app.db"), "phone", half)?;
    edit(&place.path("crm.db"), "stage", half)?;
    let edits = place.sync(&[])?;
    let edited = row("edits on both sides: taken and delivered", half * 2, edits.took, Some(edits.peak_mb));
    row("— events appended to the history for them", events(&edits), edits.took, None);
    let idle = place.sync(&[])?;
    row("nothing to do: rows held in agreement", rows, idle.took, Some(idle.peak_mb));
    if events(&idle) != 0 {
        return Err(format!("a sync with nothing to do appended events: {}", idle.report).into());
    }
    let full = place.sync(&["--full"])?;
    let scanned = row("full listing of both sides: unchanged rows", rows * 2, full.took, Some(full.peak_mb));
    edit(&place.path("app.db"), "phone", half)?;
    row("beside: one SQL statement that copies the changed rows", half, plain_copy(&place)?, None);
    edit(&place.path("app.db"), "phone", half)?;
    let hand = row("beside: a loop by hand, one durable update a row", half, by_hand(&place, half)?, None);
    row("beside: bare durable commits of one row each", 2_000, bare_commits(&place, 2_000)?, None);
    let heads = ["work", "units", "seconds", "a second", "peak MB"];
    report.table("sqlite", "SQLite ↔ SQLite, durable, with full history", &heads, &table);
    let values = [("first link", linked), ("edits", edited), ("by hand", hand), ("full listing", scanned)];
    let bars =
        plot::bars("SQLite ↔ SQLite", "rows a second", &values.map(|(name, value)| (name.to_owned(), value)));
    report.plot("sqlite", "throughput.svg", "throughput between two SQLite files", &bars)
}

fn events(ran: &Ran) -> u64 {
    ran.report["events"].as_u64().unwrap_or(0)
}

/// Makes the table with so many rows.
pub fn populate(file: &Path, rows: u64) -> Outcome<()> {
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

fn edit(file: &Path, column: &str, rows: u64) -> Outcome<()> {
    let connection = Connection::open(file)?;
    connection.execute(
        &format!("update customers set {column} = {column} || '.' where id <= ?1"),
        [i64::try_from(rows)?],
    )?;
    Ok(())
}

fn plain_copy(place: &Workspace) -> Outcome<Duration> {
    let connection = Connection::open(place.path("crm.db"))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute("attach ?1 as app", [place.path("app.db").to_string_lossy()])?;
    let began = Instant::now();
    connection.execute(
        "update customers set phone = a.phone from app.customers a
         where a.email = customers.email and a.phone is not customers.phone",
        [],
    )?;
    Ok(began.elapsed())
}

fn by_hand(place: &Workspace, rows: u64) -> Outcome<Duration> {
    let app = Connection::open(place.path("app.db"))?;
    let crm = Connection::open(place.path("crm.db"))?;
    crm.pragma_update(None, "synchronous", "full")?;
    let began = Instant::now();
    let mut read = app.prepare("select email, phone from customers where id <= ?1")?;
    let mut changed = read.query([i64::try_from(rows)?])?;
    while let Some(found) = changed.next()? {
        let (email, phone): (String, String) = (found.get(0)?, found.get(1)?);
        crm.prepare_cached("update customers set phone = ?1 where email = ?2 and phone is not ?1")?
            .execute((phone, email))?;
    }
    Ok(began.elapsed())
}

fn bare_commits(place: &Workspace, total: u32) -> Outcome<Duration> {
    let connection = Connection::open(place.path("bare.db"))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch("create table line (n integer primary key, text text)")?;
    let began = Instant::now();
    for n in 0..total {
        connection.prepare_cached("insert into line values (?1, 'a line of some length')")?.execute([n])?;
    }
    Ok(began.elapsed())
}
