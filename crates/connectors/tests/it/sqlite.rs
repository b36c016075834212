//! The SQLite connector: the conformance suite, and what only a SQLite file can do.

mod application;
mod constraints;
mod identity;
mod installations;
mod replaced;
mod spellings;
mod trips;

use async_trait::async_trait;
use avowal_connectors::sqlite::{SqliteConnector, SqliteOptions};
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_core::data::value::Value;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{
    Binding, Change, Connector, ConnectorErrorKind, Expected, Fields, Finding, Installation, RemoteState,
    Severity, Write, WriteOutcome,
};
use avowal_engine::ports::store::Cursor;
use avowal_testkit::connector_suite::{self, ENTITY, Fixture, SchemaChange, binding};
use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, params_from_iter};
use std::sync::Mutex;
use tempfile::TempDir;

const SCHEMA: &str =
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT CHECK (name <> 'refused by rule'),
    email TEXT, note TEXT, points INTEGER, amount TEXT, active BOOLEAN, tags JSON, updated_at TEXT)";

/// A file with one table. The other person has a connection of their own.
struct File {
    folder: TempDir,
    connector: SqliteConnector,
    person: Mutex<Connection>,
}

impl File {
    /// What `check` finds, but that the table gives ids again.
    async fn findings(&self) -> Vec<Finding> {
        let found = self.connector.check().await.unwrap();
        found.into_iter().filter(|finding| !finding.problem.contains("the next one may get its id")).collect()
    }

    async fn new(schema: &str) -> Self {
        Self::with(schema, binding("people", "id")).await
    }

    async fn with(schema: &str, binding: Binding) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let person = Connection::open(folder.path().join("app.db")).unwrap();
        person.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        person.execute_batch(schema).unwrap();
        let options =
            SqliteOptions { path: folder.path().join("app.db"), installation: Installation::none() };
        let connector = SqliteConnector::open(options, vec![binding]).unwrap();
        connector.install().await.unwrap();
        Self { folder, connector, person: Mutex::new(person) }
    }

    fn sql(&self, sql: &str) {
        self.person.lock().unwrap().execute_batch(sql).unwrap();
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("app.db")
    }

    /// Another connector to the same file.
    fn open(&self, installation: &str, binding: Binding) -> SqliteConnector {
        let installation = Installation::new(installation).unwrap();
        SqliteConnector::open(SqliteOptions { path: self.path(), installation }, vec![binding]).unwrap()
    }

    async fn position(&self) -> Cursor {
        self.connector.feed_position(&entity()).await.unwrap()
    }

    async fn changes(&self, from: &Cursor) -> Vec<Change> {
        self.connector.changes(&entity(), from, 1000).await.unwrap().changes
    }

    async fn write(&self, write: Write) -> WriteOutcome {
        self.connector.write(&entity(), &[write]).await.remove(0)
    }
}

#[async_trait]
impl Fixture for File {
    fn connector(&self) -> &dyn Connector {
        &self.connector
    }

    async fn insert(&self, fields: Fields) -> RemoteId {
        let names: Vec<_> = fields.keys().cloned().collect();
        let marks = vec!["?"; names.len()].join(", ");
        let person = self.person.lock().unwrap();
        let sql = format!("INSERT INTO people ({}) VALUES ({marks})", names.join(", "));
        person.execute(&sql, params_from_iter(fields.values().map(sql_value))).unwrap();
        RemoteId::from(person.last_insert_rowid().to_string())
    }

    async fn update(&self, id: &RemoteId, fields: Fields) {
        let sets: Vec<_> = fields.keys().map(|name| format!("{name} = ?")).collect();
        let sql = format!("UPDATE people SET {} WHERE id = {id}", sets.join(", "));
        let params = params_from_iter(fields.values().map(sql_value));
        self.person.lock().unwrap().execute(&sql, params).unwrap();
    }

    async fn delete(&self, id: &RemoteId) {
        self.sql(&format!("DELETE FROM people WHERE id = {id}"));
    }

    async fn touch_all(&self) -> bool {
        self.sql("UPDATE people SET updated_at = 'now', name = name");
        true
    }

    async fn stored(&self, id: &RemoteId) -> Option<Fields> {
        let person = self.person.lock().unwrap();
        let names = connector_suite::columns().into_iter().map(|column| column.name).collect::<Vec<_>>();
        let sql = format!("SELECT {} FROM people WHERE id = {id}", names.join(", "));
        let mut statement = person.prepare(&sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        let row = rows.next().unwrap()?;
        Some(names.iter().enumerate().map(|(at, n)| (n.clone(), value(row.get_ref_unwrap(at)))).collect())
    }

    async fn count(&self) -> usize {
        let person = self.person.lock().unwrap();
        person.query_row("SELECT count(*) FROM people", [], |row| row.get::<_, i64>(0)).unwrap() as usize
    }

    fn refuses(&self) -> bool {
        true
    }

    async fn update_and_delete(&self, id: &RemoteId, fields: Fields) {
        self.sql("BEGIN");
        self.update(id, fields).await;
        self.delete(id).await;
        self.sql("COMMIT");
    }

    async fn replace(&self, id: &RemoteId, mut fields: Fields) -> bool {
        fields.insert("id".to_owned(), Value::Int(id.as_str().parse().unwrap()));
        self.sql("BEGIN");
        self.delete(id).await;
        self.insert(fields).await;
        self.sql("COMMIT");
        true
    }

    async fn alter(&self, change: SchemaChange) -> bool {
        match change {
            SchemaChange::Add => self.sql("ALTER TABLE people ADD COLUMN extra TEXT NOT NULL DEFAULT 'x'"),
            SchemaChange::Rename => self.sql("ALTER TABLE people RENAME COLUMN note TO remark"),
            SchemaChange::Retype => self.sql(&format!(
                "BEGIN IMMEDIATE; {}; INSERT INTO new_people SELECT * FROM people; DROP TABLE people;
                 ALTER TABLE new_people RENAME TO people; COMMIT",
                SCHEMA.replace("people", "new_people").replace("note TEXT", "note VARCHAR(400)")
            )),
            // SQLite itself refuses it while a trigger names the column.
            SchemaChange::Drop => return false,
        }
        true
    }

    async fn alter_back(&self, change: SchemaChange) {
        match change {
            SchemaChange::Add => self.sql("ALTER TABLE people DROP COLUMN extra"),
            SchemaChange::Rename => self.sql("ALTER TABLE people RENAME COLUMN remark TO note"),
            SchemaChange::Retype | SchemaChange::Drop => {}
        }
    }

    fn reopen(&self) -> Option<Box<dyn Connector>> {
        let options = SqliteOptions { path: self.path(), installation: Installation::none() };
        Some(Box::new(SqliteConnector::open(options, vec![binding("people", "id")]).unwrap()))
    }
}

fn sql_value(value: &Value) -> Sql {
    match value {
        Value::Null => Sql::Null,
        Value::Bool(bool) => Sql::Integer(i64::from(*bool)),
        Value::Int(int) => Sql::Integer(*int),
        Value::Float(float) => Sql::Real(float.get()),
        Value::Text(text) => Sql::Text(text.to_string()),
        Value::List(_) | Value::Object(_) => Sql::Text(value.to_string()),
    }
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(int) => Value::Int(int),
        ValueRef::Real(real) => Value::from_f64(real).unwrap(),
        ValueRef::Text(text) => Value::text(std::str::from_utf8(text).unwrap()),
        ValueRef::Blob(_) => panic!("no blobs here"),
    }
}

fn entity() -> EntityName {
    EntityName::new(ENTITY)
}

fn set(key: &str, id: &str, name: &str, value: Value) -> Write {
    Write {
        key: key.to_owned(),
        operation: Operation::Update,
        id: Some(RemoteId::new(id)),
        fields: Fields::from([(name.to_owned(), value)]),
        version: None,
        expected: Expected::anything(),
        lookup: Vec::new(),
    }
}

/// The ids of changes, with what each shows of one column; `gone` where the row is gone.
fn told(changes: &[Change], column: &str) -> Vec<(String, String)> {
    let shown = |change: &Change| match &change.shown {
        RemoteState::Gone => "gone".to_owned(),
        RemoteState::Present(fields) => fields[column].as_text().unwrap_or("null").to_owned(),
        other => format!("{other:?}"),
    };
    changes.iter().map(|change| (change.id.to_string(), shown(change))).collect()
}

/// [`told`], as it is written in tests.
fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(id, shown)| (id.to_owned(), shown.to_owned())).to_vec()
}

fn text<'a>(change: &'a Change, column: &str) -> Option<&'a str> {
    match &change.shown {
        RemoteState::Present(fields) => fields[column].as_text(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    connector_suite::run(async || File::new(SCHEMA).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_in_wal_mode() {
    let wal = format!("PRAGMA journal_mode = WAL; {SCHEMA}");
    connector_suite::run(async || File::new(&wal).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_never_breaks_the_applications_statements() {
    let file = File::new(SCHEMA).await;
    let from = file.position().await;
    file.sql("INSERT INTO people (id, name, note, points, amount) VALUES (1, x'00ff', 'a' || char(0) || 'b', 1.5, 9e999)");
    file.sql("INSERT INTO people (id, name) VALUES (2, CAST(x'ff41' AS TEXT))");
    file.sql("INSERT INTO people (id, points, amount) VALUES (3, 1e300, -9e999)");
    let changes = file.changes(&from).await;
    assert_eq!(text(&changes[0], "name"), Some("\\x00ff"));
    assert_eq!(text(&changes[0], "amount"), Some("Inf"));
    assert!(matches!(changes[1].shown, RemoteState::Unreadable { .. }), "{:?}", changes[1]);
    assert!(text(&changes[2], "points").unwrap().starts_with('1'));
    // The same rows read the same way in a listing.
    let page = file.connector.list(&entity(), None, 10).await.unwrap();
    for (listed, logged) in page.changes.iter().zip(&changes) {
        assert_eq!((&listed.id, &listed.shown), (&logged.id, &logged.shown));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_change_are_a_delete_and_an_insert() {
    let file = File::new(SCHEMA).await;
    file.sql("INSERT INTO people (id, name) VALUES (1, 'Ann')");
    let from = file.position().await;
    file.sql("UPDATE people SET id = 5 WHERE id = 1");
    let changes = file.changes(&from).await;
    // That the new id was free is not looked up: what was there, if anything, is gone as well.
    assert_eq!((changes[0].id.as_str(), &changes[0].shown), ("5", &RemoteState::Gone));
    assert_eq!((changes[1].id.as_str(), &changes[1].shown), ("1", &RemoteState::Gone));
    assert_eq!((changes[2].id.as_str(), text(&changes[2], "name")), ("5", Some("Ann")));
    assert_eq!(changes.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_row_is_gone_although_sqlite_fires_no_trigger() {
    let file = File::new(&SCHEMA.replace("email TEXT", "email TEXT UNIQUE")).await;
    file.sql("INSERT INTO people (id, name, email) VALUES (1, 'Ann', 'a@b'), (2, 'Bob', 'b@b')");
    let from = file.position().await;
    file.sql("INSERT OR IGNORE INTO people (id, name, email) VALUES (8, 'Bobby', 'b@b')");
    file.sql("INSERT OR REPLACE INTO people (id, name, email) VALUES (9, 'Anne', 'a@b')");
    let changes = file.changes(&from).await;
    assert_eq!((changes[0].id.as_str(), &changes[0].shown), ("1", &RemoteState::Gone));
    assert_eq!((changes[1].id.as_str(), text(&changes[1], "name")), ("9", Some("Anne")));
    assert_eq!(changes.len(), 2, "the ignored insert changed nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_log_row_shows_what_the_applications_triggers_made() {
    let file = File::new(SCHEMA).await;
    file.sql(
        "CREATE TRIGGER tidy AFTER UPDATE OF name ON people WHEN new.name <> trim(new.name) BEGIN
            UPDATE people SET name = trim(new.name) WHERE id = new.id; END;
         CREATE TABLE other (id INTEGER PRIMARY KEY);
         CREATE TRIGGER cascade AFTER UPDATE OF note ON people WHEN new.id = 1 BEGIN
            UPDATE people SET note = 'cascaded' WHERE id = 2; END;
         INSERT INTO people (id, name) VALUES (1, 'Ann'), (2, 'Bob');",
    );
    let from = file.position().await;
    let outcome = file.write(set("k1", "1", "name", " Anne ".into())).await;
    let WriteOutcome::Confirmed { after: Some(after), .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(text(&after, "name"), Some("Anne"));
    let changes = file.changes(&from).await;
    let last = changes.last().unwrap();
    assert_eq!(text(last, "name"), Some("Anne"));
    assert_eq!((&last.order, &last.correlation), (&after.order, &Some("k1".to_owned())));

    // What a trigger does to another row in our transaction is not our write.
    let from = file.position().await;
    file.write(set("k2", "1", "note", "x".into())).await;
    let changes = file.changes(&from).await;
    let bob = changes.iter().find(|change| change.id.as_str() == "2").unwrap();
    assert_eq!((text(bob, "note"), &bob.correlation), (Some("cascaded"), &None));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_where_ids_may_come_again() {
    for (schema, expected) in [
        (SCHEMA.to_owned(), true),
        (SCHEMA.replace("INTEGER PRIMARY KEY", "INTEGER PRIMARY KEY autoincrement"), false),
        (SCHEMA.replace("INTEGER PRIMARY KEY", "TEXT PRIMARY KEY"), false),
    ] {
        let file = File::new(&schema).await;
        let found = file.connector.check().await.unwrap();
        let says = found.iter().any(|finding| finding.problem.contains("the next one may get its id"));
        assert_eq!(says, expected, "{schema}: {found:?}");
        assert!(found.iter().all(|finding| finding.severity == Severity::Note), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn install_and_uninstall_leave_nothing_behind() {
    let file = File::new(SCHEMA).await;
    assert_eq!(file.findings().await, vec![]);
    assert_eq!(file.connector.install().await.unwrap(), Vec::<String>::new(), "nothing to do twice");
    assert!(!file.connector.uninstall().await.unwrap().is_empty());
    assert_eq!(file.connector.uninstall().await.unwrap(), Vec::<String>::new());
    let left: i64 = {
        let person = file.person.lock().unwrap();
        let sql = "SELECT count(*) FROM sqlite_master WHERE name LIKE 'avowal%'";
        person.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(left, 0);
    let findings = file.findings().await;
    assert!(findings[0].cure.contains("avowal sync"), "{findings:?}");
    file.sql("INSERT INTO people (id, name) VALUES (1, 'Ann')");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_missed_something_says_so() {
    let file = File::new(SCHEMA).await;
    let from = file.position().await;
    // The usual way to change a table in SQLite loses its triggers.
    file.sql(&SCHEMA.replace("people", "new_people").replace("updated_at", "extra TEXT, updated_at"));
    file.sql("DROP TABLE people; ALTER TABLE new_people RENAME TO people;");
    let error = file.connector.changes(&entity(), &from, 10).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::SchemaDrift);
    assert!(error.to_string().contains("avowal sync"), "{error}");
    file.connector.install().await.unwrap();
    let error = file.connector.changes(&entity(), &from, 10).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::CursorExpired);
    let from = file.position().await;
    file.sql("INSERT INTO people (id, name) VALUES (1, 'Ann')");
    assert_eq!(file.changes(&from).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_the_place_and_the_cure() {
    let file = File::new(SCHEMA).await;
    let path = file.folder.path().join("app.db");
    let open = |path: std::path::PathBuf, binding| {
        SqliteConnector::open(SqliteOptions { path, installation: Installation::none() }, vec![binding])
    };
    let missing = open(file.folder.path().join("no.db"), binding("people", "id")).unwrap_err();
    assert_eq!(missing.kind, ConnectorErrorKind::Unreachable);
    assert!(missing.to_string().contains("no.db") && missing.cure.is_some(), "{missing}");

    let misspelt = open(path.clone(), binding("poeple", "id")).unwrap();
    let error = misspelt.list(&entity(), None, 10).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::SchemaDrift);
    assert!(error.to_string().contains("Did you mean \"people\"?"), "{error}");
    assert!(misspelt.check().await.unwrap()[0].cure.contains("people"));

    let mut wrong = binding("people", "id");
    wrong.columns[0].name = "nmae".to_owned();
    let findings = open(path.clone(), wrong).unwrap().check().await.unwrap();
    assert!(findings[0].cure.contains("\"name\""), "{findings:?}");

    let not_unique = open(path.clone(), binding("people", "email")).unwrap();
    let findings = not_unique.check().await.unwrap();
    assert!(findings[0].problem.contains("does not identify"), "{findings:?}");
    assert_eq!(not_unique.install().await.unwrap_err().kind, ConnectorErrorKind::SchemaDrift);

    let hostile = open(path, binding("people\"; DROP TABLE people; --", "id")).unwrap();
    assert_eq!(hostile.list(&entity(), None, 10).await.unwrap_err().kind, ConnectorErrorKind::SchemaDrift);
    let outcome = file.write(set("k1", "1", "name\" = 'x'; --", "x".into())).await;
    assert!(matches!(outcome, WriteOutcome::Missing | WriteOutcome::Rejected { .. }), "{outcome:?}");
    assert_eq!(file.count().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_are_refused_rather_than_lost() {
    let file = File::new(&SCHEMA.replace("amount TEXT", "amount NUMERIC")).await;
    file.sql("INSERT INTO people (id, name) VALUES (1, 'Ann')");
    let good = file.write(set("k1", "1", "amount", "12.25".into())).await;
    assert!(matches!(good, WriteOutcome::Confirmed { .. }), "{good:?}");
    let bad = file.write(set("k2", "1", "amount", "12345678901234567.89".into())).await;
    assert!(matches!(&bad, WriteOutcome::Rejected { reason } if reason.contains("TEXT")), "{bad:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_by_one_row_does_not_take_the_others_with_it() {
    let file = File::new(SCHEMA).await;
    file.sql(
        "CREATE TRIGGER harsh BEFORE UPDATE ON people WHEN new.note = 'harsh' BEGIN
            SELECT RAISE(ROLLBACK, 'too harsh'); END;
         INSERT INTO people (id, name) VALUES (1, 'Ann'), (2, 'Bob'), (3, 'Carl');",
    );
    let writes = [("1", "a"), ("2", "harsh"), ("3", "c")]
        .map(|(id, note)| set(&format!("k{id}"), id, "note", note.into()));
    let outcomes = file.connector.write(&entity(), &writes).await;
    assert!(matches!(outcomes[0], WriteOutcome::Confirmed { .. }), "{outcomes:?}");
    assert!(matches!(&outcomes[1], WriteOutcome::Rejected { reason } if reason.contains("too harsh")));
    assert!(matches!(outcomes[2], WriteOutcome::Confirmed { .. }), "{outcomes:?}");
    assert_eq!(file.stored(&RemoteId::new("1")).await.unwrap()["note"], "a".into());
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_wakes_when_another_writes() {
    let file = File::new(SCHEMA).await;
    file.connector.wait().await;
    let waiting = file.connector.wait();
    let writing = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        file.sql("INSERT INTO people (name) VALUES ('Ann')");
    };
    let both = async { tokio::join!(waiting, writing) };
    tokio::time::timeout(std::time::Duration::from_secs(5), both).await.expect("wakes");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_rows_take_seconds() {
    let file = File::new(SCHEMA).await;
    let begun = std::time::Instant::now();
    for batch in 0..20 {
        let writes: Vec<_> = (0..500)
            .map(|n| Write {
                operation: Operation::Create,
                id: None,
                ..set(&format!("k{batch}-{n}"), "", "name", format!("Person {n}").as_str().into())
            })
            .collect();
        let outcomes = file.connector.write(&entity(), &writes).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, WriteOutcome::Confirmed { .. })));
    }
    println!("10 000 creates: {:?}", begun.elapsed());
    assert_eq!(file.count().await, 10_000);
}
