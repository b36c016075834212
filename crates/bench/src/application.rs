//! What the change log costs the application: its own statements on a table that is followed, and on one that is not.

use crate::Outcome;
use crate::avowal::Workspace;
use crate::report::{Report, count};
use crate::sqlite::CONFIGURATION;
use avowal_testkit::postgres::PrivatePostgres;
use rusqlite::Connection;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

/// The most rows that stand in each table.
const ROWS_MAX: u64 = 100_000;
/// How often each statement over one row runs, with a commit that waits for the disk and with one that does not.
const SINGLES: [u64; 2] = [100, 1_000];
/// How often each statement over many rows runs.
const ROUNDS: u64 = 5;
/// The table without and the table with a change log, alike in everything else.
const TABLES: [&str; 2] = ["plain", "followed"];

const MAKE: &str = "create table # (id bigint primary key, email text unique, name text, phone text, stage text, visits bigint)";

/// The application's database: one statement is one transaction.
trait Database {
    /// Whether commits wait for the disk from here on.
    fn wait_for_disk(&mut self, wait: bool) -> Outcome<()>;

    /// How long a statement with its one parameter took, `$1`.
    fn run(&mut self, sql: &str, parameter: u64) -> Outcome<Duration>;
}

/// A statement of the application; `#` is the table, `$1` the first id, `{rows}` how many rows follow from there.
struct Statement {
    what: &'static str,
    sql: &'static str,
}

const INSERT: &str = "with recursive n (i) as (select cast($1 as bigint) union all select i + 1 from n where i < cast($1 as bigint) + {rows} - 1) \
     insert into # (id, email, name, phone, stage, visits) \
     select i, 'person' || i || '@example.com', 'Person ' || i, '+1555' || i, 'lead', 0 from n";
const UPDATE: &str = "update # set phone = phone || '.' where id >= $1 and id < cast($1 as bigint) + {rows}";
const VISIT: &str = "update # set visits = visits + 1 where id >= $1 and id < cast($1 as bigint) + {rows}";
const DELETE: &str = "delete from # where id >= $1 and id < cast($1 as bigint) + {rows}";

/// In this order each finds the rows that it needs, and leaves none.
const STATEMENTS: [Statement; 4] = [
    Statement { what: "insert", sql: INSERT },
    Statement { what: "update", sql: UPDATE },
    Statement { what: "update of a column that is not mapped", sql: VISIT },
    Statement { what: "delete", sql: DELETE },
];

/// Measures both databases.
pub fn measure(report: &mut Report, rows: u64) -> Outcome<()> {
    let rows = rows.min(ROWS_MAX);
    postgres(report, rows)?;
    sqlite(report, rows)
}

fn postgres(report: &mut Report, rows: u64) -> Outcome<()> {
    let server = PrivatePostgres::start_with(&["fsync=on"])?;
    let url = server.create_database("app")?;
    let place = workspace("postgres", &url)?;
    let mut database = Postgres::connect(&url)?;
    for table in TABLES {
        server.psql("app", &MAKE.replace('#', table))?;
    }
    place.sync(&[])?;
    let triggers = server.psql(
        "app",
        "select count(*) from pg_trigger where tgrelid = 'followed'::regclass and not tgisinternal",
    )?;
    installed(triggers.trim() != "0")?;
    fill(&mut database, rows)?;
    server.psql("app", "analyze plain; analyze followed")?;
    tables(report, "Postgres", &mut database, rows)
}

fn sqlite(report: &mut Report, rows: u64) -> Outcome<()> {
    let place = workspace("sqlite", "sqlite:app.db")?;
    let mut connection = Connection::open(place.path("app.db"))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    for table in TABLES {
        connection.execute_batch(&MAKE.replace('#', table))?;
    }
    place.sync(&[])?;
    let triggers = "select count(*) from sqlite_master where type = 'trigger' and tbl_name = 'followed'";
    installed(connection.query_row(triggers, [], |row| row.get::<_, u32>(0))? != 0)?;
    fill(&mut connection, rows)?;
    tables(report, "SQLite", &mut connection, rows)
}

fn workspace(kind: &str, url: &str) -> Outcome<Workspace> {
    // The second system only stands there, because one system alone is nothing to sync.
    let app = format!("connector = \"{kind}\"\nurl = \"{url}\"\nlocal");
    let configuration = CONFIGURATION
        .replace("connector = \"sqlite\"\nurl = \"sqlite:app.db\"\nlocal", &app)
        .replace("customers", "followed");
    let place = Workspace::new(&configuration)?;
    Connection::open(place.path("crm.db"))?.execute_batch(&MAKE.replace('#', "followed"))?;
    Ok(place)
}

fn installed(is_there: bool) -> Outcome<()> {
    is_there
        .then_some(())
        .ok_or_else(|| "the sync installed no change log, so there is nothing to measure".into())
}

fn fill(database: &mut dyn Database, rows: u64) -> Outcome<()> {
    for table in TABLES {
        database.run(&sql(INSERT, table, rows), 1)?;
    }
    Ok(())
}

fn sql(text: &str, table: &str, rows: u64) -> String {
    text.replace('#', table).replace("{rows}", &rows.to_string())
}

/// Measures statements over one row and over many, and writes the table of one database.
fn tables(report: &mut Report, name: &str, database: &mut dyn Database, rows: u64) -> Outcome<()> {
    let many = (rows / 2).max(1);
    let [waiting, at_once] = SINGLES;
    let mut lines = compare(database, rows + 1, 1, waiting)?;
    database.wait_for_disk(false)?;
    let mut more = compare(database, rows + 1, 1, at_once)?;
    more.iter_mut().for_each(|line| line[0].push_str(", its commit does not wait for the disk"));
    lines.extend(more);
    database.wait_for_disk(true)?;
    lines.extend(compare(database, rows + 1, many, ROUNDS)?);
    let title =
        format!("What the change log costs the application: {name}, {} rows a table", count(rows as f64));
    let heads = [
        "statement, one transaction",
        "rows",
        "ms without",
        "ms with",
        "µs more a row",
        "rows a second without",
        "rows a second with",
        "factor",
    ];
    report.table("application", &title, &heads, &lines);
    Ok(())
}

/// The medians of each statement over so many rows, without and with a change log. The tables take turns, so that what else
/// the machine does meets both.
fn compare(database: &mut dyn Database, first: u64, rows: u64, rounds: u64) -> Outcome<Vec<Vec<String>>> {
    let mut took = vec![[Vec::new(), Vec::new()]; STATEMENTS.len()];
    for _ in 0..rounds {
        for (statement, took) in STATEMENTS.iter().zip(&mut took) {
            for (table, took) in TABLES.iter().zip(took) {
                took.push(database.run(&sql(statement.sql, table, rows), first)?);
            }
        }
    }
    let line = |(statement, took): (&Statement, [Vec<Duration>; 2])| {
        let [without, with] = took.map(|mut took| {
            took.sort_unstable();
            took[took.len() / 2].as_secs_f64()
        });
        let ms = |seconds: f64| format!("{:.3}", seconds * 1000.0);
        let rate = |seconds: f64| count(rows as f64 / seconds);
        let more = format!("{:.1}", (with - without) * 1e6 / rows as f64);
        let factor = format!("{:.2}", with / without);
        vec![
            statement.what.to_owned(),
            count(rows as f64),
            ms(without),
            ms(with),
            more,
            rate(without),
            rate(with),
            factor,
        ]
    };
    Ok(STATEMENTS.iter().zip(took).map(line).collect())
}

impl Database for Connection {
    fn wait_for_disk(&mut self, wait: bool) -> Outcome<()> {
        Ok(self.pragma_update(None, "synchronous", if wait { "full" } else { "normal" })?)
    }

    fn run(&mut self, sql: &str, parameter: u64) -> Outcome<Duration> {
        let parameter = i64::try_from(parameter)?;
        let mut statement = self.prepare_cached(sql)?;
        let began = Instant::now();
        statement.execute([parameter])?;
        Ok(began.elapsed())
    }
}

/// A connection of the application with its own small runtime.
struct Postgres {
    runtime: Runtime,
    client: Client,
    prepared: std::collections::BTreeMap<String, tokio_postgres::Statement>,
}

impl Postgres {
    fn connect(url: &str) -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (client, wire) = runtime.block_on(tokio_postgres::connect(url, NoTls))?;
        runtime.spawn(wire);
        Ok(Self { runtime, client, prepared: std::collections::BTreeMap::new() })
    }
}

impl Database for Postgres {
    fn wait_for_disk(&mut self, wait: bool) -> Outcome<()> {
        let sql = format!("set synchronous_commit = {}", if wait { "on" } else { "off" });
        Ok(self.runtime.block_on(self.client.batch_execute(&sql))?)
    }

    fn run(&mut self, sql: &str, parameter: u64) -> Outcome<Duration> {
        let parameter = i64::try_from(parameter)?;
        if !self.prepared.contains_key(sql) {
            let prepared = self.runtime.block_on(self.client.prepare(sql))?;
            self.prepared.insert(sql.to_owned(), prepared);
        }
        let began = Instant::now();
        self.runtime.block_on(self.client.execute(&self.prepared[sql], &[&parameter]))?;
        Ok(began.elapsed())
    }
}
