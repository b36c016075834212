//! P10: from the start of the daemon until it runs and works, with many intents pending.

use crate::Outcome;
use crate::avowal::Workspace;
use crate::report::{Report, count};
use crate::sqlite::{CONFIGURATION, populate};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::{Duration, Instant};

/// How many intents wait, at most.
const PENDING_MAX: u64 = 100_000;

/// Measures one start.
pub fn measure(report: &mut Report, rows: u64) -> Outcome<()> {
    let rows = rows.min(PENDING_MAX);
    let place = Workspace::new(CONFIGURATION)?;
    populate(&place.path("app.db"), rows)?;
    populate(&place.path("crm.db"), 0)?;
    leave_pending(&place, rows)?;
    let pending = pending(&place.path("avowal.db"))?;
    let begun = written(&place.path("crm.db"))?;
    let began = Instant::now();
    let daemon = place.run()?;
    while written(&place.path("crm.db"))? == begun {
        std::thread::sleep(Duration::from_millis(1));
    }
    let first = began.elapsed();
    let ms = |duration: Duration| format!("{:.0}", duration.as_secs_f64() * 1000.0);
    report.table(
        "startup",
        "P10: start with pending intents",
        &["pending intents", "ms until it runs", "ms until the first of them stands in the target"],
        &[vec![count(pending as f64), ms(daemon.ready), ms(first)]],
    );
    Ok(())
}

/// Has a sync plan all creates, and kills it as soon as the first ones go out.
fn leave_pending(place: &Workspace, rows: u64) -> Outcome<()> {
    let mut sync = place.begin_sync()?;
    let deadline = Instant::now() + Duration::from_secs(1_800);
    while written(&place.path("crm.db"))? == 0 {
        if sync.try_wait()?.is_some() || Instant::now() > deadline {
            return Err(format!("the sync of {rows} rows ended before it could be interrupted").into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    sync.kill()?;
    sync.wait()?;
    Ok(())
}

fn pending(store: &Path) -> Outcome<i64> {
    let connection = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    Ok(connection.query_row("select count(*) from intents", [], |row| row.get(0))?)
}

fn written(crm: &Path) -> Outcome<i64> {
    let connection = Connection::open_with_flags(crm, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection.query_row("select count(*) from customers", [], |row| row.get(0))?)
}
