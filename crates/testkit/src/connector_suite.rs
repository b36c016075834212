//! The conformance suite that every connector runs.
//!
//! A connector's test gives the suite a way to make fresh [`Fixture`]s; [`run`] plays every case of
//! [`cases`] on one of its own. A case asks `capabilities()` and demands only what is declared there.
//!
//! The suite's collection holds the columns of [`columns`]. Raw values may be spelled as the system likes:
//! everything is compared in canonical form.

mod feed;
mod order;
mod reading;
mod schema_changes;
pub mod trips;
mod values;
mod writing;

use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_core::data::value::Value;
use avowal_core::policy::schema::FieldType;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{
    Binding, Change, Column, Connector, Expected, Fields, RemoteState, Write,
};
use avowal_engine::ports::store::Cursor;
use std::future::Future;
use std::pin::Pin;

/// A record whose name is this must be refused by the system, where [`Fixture::refuses`] says so.
pub const REFUSED_NAME: &str = "refused by rule";

/// The entity that the suite's binding serves.
pub const ENTITY: &str = "person";

/// One system with an empty collection, a connector bound to it, and another person who edits it.
///
/// Dropping the fixture may remove the system. The methods that edit act as another person: never through
/// the connector, and without its marks.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// The connector under test, bound with [`binding`] and installed.
    fn connector(&self) -> &dyn Connector;

    /// Adds a record and returns its id. Columns that are not given are null or empty.
    async fn insert(&self, fields: Fields) -> RemoteId;

    /// Changes the given columns of a record.
    async fn update(&self, id: &RemoteId, fields: Fields);

    /// Removes a record.
    async fn delete(&self, id: &RemoteId);

    /// Changes something in every record that is not mapped; `false` where that cannot be done.
    async fn touch_all(&self) -> bool;

    /// What stands in a record, read without the connector; `None` if there is none.
    async fn stored(&self, id: &RemoteId) -> Option<Fields>;

    /// How many records there are.
    async fn count(&self) -> usize;

    /// Whether the system refuses a record named [`REFUSED_NAME`].
    fn refuses(&self) -> bool;

    /// Changes a record and removes it, in one transaction where there are some.
    async fn update_and_delete(&self, id: &RemoteId, fields: Fields) {
        self.update(id, fields).await;
        self.delete(id).await;
    }

    /// Removes a record and makes another one under its id, in one transaction; `false` where that cannot be done.
    async fn replace(&self, _id: &RemoteId, _fields: Fields) -> bool {
        false
    }

    /// Changes the collection beside its data; `false` where that cannot be done. The statement must not fail otherwise.
    async fn alter(&self, _change: SchemaChange) -> bool {
        false
    }

    /// Undoes [`Fixture::alter`], so that the mapping fits again.
    async fn alter_back(&self, _change: SchemaChange) {}

    /// Another connector to the same system, as after a restart; `None` where nothing is remembered between the two.
    fn reopen(&self) -> Option<Box<dyn Connector>> {
        None
    }
}

/// What a migration of the application does to the suite's collection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SchemaChange {
    /// Adds a column that is not mapped.
    Add,
    /// Renames the column `note`.
    Rename,
    /// Gives the column `note` another type that holds the same texts, with the table made anew where it must be.
    Retype,
    /// Drops the column `note`. Undone, the column is there again and empty.
    Drop,
}

/// The columns of the suite's collection: `name`, `email`, `note`, `points`, `amount`, `active`, `tags`.
///
/// `note` must be able to hold null and the empty text, `points` every 64-bit integer, `amount` decimals of
/// 20 digits, `tags` a JSON list (as JSON or as text). An id column of the system's own comes beside them.
pub fn columns() -> Vec<Column> {
    let column = |name: &str, field_type| Column { name: name.to_owned(), field_type, writable: true };
    vec![
        column("name", FieldType::String),
        column("email", FieldType::String),
        column("note", FieldType::String),
        column("points", FieldType::Integer),
        column("amount", FieldType::Decimal),
        column("active", FieldType::Boolean),
        column("tags", FieldType::List),
    ]
}

/// The binding of the suite's entity to `object`, whose id is called `id`.
pub fn binding(object: &str, id: &str) -> Binding {
    Binding {
        entity: EntityName::new(ENTITY),
        object: object.to_owned(),
        id: id.to_owned(),
        columns: columns(),
    }
}

type Playing<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// One case: its name, and what it does with a fresh fixture.
pub struct Case {
    /// What must hold.
    pub name: &'static str,
    play: for<'a> fn(&'a dyn Fixture) -> Playing<'a>,
}

/// Every case, in order.
pub fn cases() -> Vec<Case> {
    let all = [
        reading::cases(),
        feed::cases(),
        order::cases(),
        writing::cases(),
        values::cases(),
        schema_changes::cases(),
    ];
    all.into_iter().flatten().collect()
}

/// Plays every case, each on a fresh fixture. Panics, naming the case on the test's output, where one fails.
pub async fn run<F: Fixture>(fresh: impl AsyncFn() -> F) {
    for case in cases() {
        println!("case: {}", case.name);
        let fixture = fresh().await;
        (case.play)(&fixture).await;
    }
}

/// Plays one case on a fixture, for tests that want a case each.
pub async fn play(case: &Case, fixture: &dyn Fixture) {
    (case.play)(fixture).await;
}

macro_rules! case {
    ($play:ident, $name:literal) => {
        crate::connector_suite::Case { name: $name, play: |fixture| Box::pin($play(fixture)) }
    };
}
use case;

fn entity() -> EntityName {
    EntityName::new(ENTITY)
}

/// A complete record with the given name.
fn person(name: &str) -> Fields {
    fields([
        ("name", Value::text(name)),
        ("email", Value::text(format!("{}@example.org", name.replace(' ', ".").to_lowercase()))),
        ("note", Value::text("first")),
        ("points", Value::Int(7)),
        ("amount", Value::text("12.5")),
        ("active", Value::Bool(true)),
        ("tags", Value::List(vec![Value::text("a"), Value::text("b")])),
    ])
}

fn fields<const N: usize>(pairs: [(&str, Value); N]) -> Fields {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The canonical form of raw contents: mapped columns only, in the one spelling of their type.
fn canonical(raw: &Fields) -> Fields {
    columns()
        .iter()
        .filter_map(|column| {
            Some((column.name.clone(), canonical_of(&column.field_type, raw.get(&column.name)?)))
        })
        .collect()
}

#[track_caller]
fn canonical_of(field_type: &FieldType, raw: &Value) -> Value {
    match raw {
        Value::Null => Value::Null,
        present => field_type.accept(present, true).unwrap_or_else(|error| panic!("{present}: {error}")),
    }
}

/// Asserts that `raw` shows each of `wanted`, whatever else it shows.
#[track_caller]
fn assert_shows(raw: &Fields, wanted: &Fields) {
    let shown = canonical(raw);
    for (name, value) in canonical(wanted) {
        assert_eq!(shown.get(&name), Some(&value), "column {name} of {shown:?}");
    }
}

#[track_caller]
fn present(change: &Change) -> &Fields {
    match &change.shown {
        RemoteState::Present(fields) => fields,
        other @ (RemoteState::Gone
        | RemoteState::Unknown
        | RemoteState::Unreadable { .. }
        | RemoteState::Unread { .. }) => {
            panic!("{} should be present, but is {other:?}", change.id)
        }
    }
}

async fn read_one(fixture: &dyn Fixture, id: &RemoteId) -> Change {
    let mut read = fixture.connector().read(&entity(), std::slice::from_ref(id)).await.expect("read");
    assert_eq!(read.len(), 1, "one id asked, one answer");
    let change = read.remove(0);
    assert_eq!(&change.id, id);
    change
}

async fn position(fixture: &dyn Fixture) -> Cursor {
    fixture.connector().feed_position(&entity()).await.expect("feed position")
}

/// Follows the feed to its end, waiting for what the system shows a moment later.
async fn drain(fixture: &dyn Fixture, from: &Cursor, limit: usize) -> (Vec<Change>, Vec<Cursor>) {
    let (mut all, mut cursors, mut cursor) = (Vec::new(), vec![from.clone()], from.clone());
    for _ in 0..10_000 {
        let page = fixture.connector().changes(&entity(), &cursor, limit).await.expect("changes");
        assert!(page.changes.len() <= limit, "a page holds at most {limit}");
        all.extend(page.changes);
        cursor = page.next;
        if !page.more {
            return (all, cursors);
        }
        cursors.push(cursor.clone());
    }
    panic!("the feed never ends");
}

/// All that the feed of a connector shows.
async fn drain_of(connector: &dyn Connector, from: &Cursor) -> Vec<Change> {
    connector.changes(&entity(), from, 1000).await.expect("changes").changes
}

fn write(key: &str, operation: Operation, id: Option<&RemoteId>, fields: Fields) -> Write {
    Write {
        key: key.to_owned(),
        operation,
        id: id.cloned(),
        fields,
        version: None,
        expected: Expected::anything(),
        lookup: Vec::new(),
    }
}

fn create(key: &str, fields: Fields) -> Write {
    write(key, Operation::Create, None, fields)
}

fn update(key: &str, id: &RemoteId, fields: Fields) -> Write {
    write(key, Operation::Update, Some(id), fields)
}

fn delete(key: &str, id: &RemoteId) -> Write {
    write(key, Operation::Delete, Some(id), Fields::new())
}
