//! Two configurations on one table, and what is left when one of them goes.

use super::{File, SCHEMA, entity, pairs, told};
use avowal_core::data::ids::EntityName;
use avowal_engine::ports::connector::{Binding, Connector as _, Severity};
use avowal_testkit::connector_suite::binding;

fn ours(file: &File, installation: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM sqlite_master WHERE name GLOB 'avowal_{installation}_*'");
    file.person.lock().unwrap().query_row(&sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_configurations_each_have_their_own_feed() {
    let file = File::new(SCHEMA).await;
    let mut narrow = binding("people", "id");
    narrow.columns.truncate(2);
    let other = file.open("other", narrow);
    other.install().await.unwrap();
    assert_eq!(
        file.connector.install().await.unwrap(),
        Vec::<String>::new(),
        "nothing was taken from the first"
    );

    let (from, other_from) = (file.position().await, other.feed_position(&entity()).await.unwrap());
    file.sql("INSERT INTO people (id, name, note) VALUES (1, 'Ann', 'x'); UPDATE people SET note = 'y'");
    assert_eq!(told(&file.changes(&from).await, "note"), pairs([("1", "x"), ("1", "y")]));
    let changes = other.changes(&entity(), &other_from, 10).await.unwrap().changes;
    assert_eq!(told(&changes, "name"), pairs([("1", "Ann")]), "it does not map the note");

    // What one of them writes is a person's edit to the other.
    file.write(super::set("k1", "1", "name", "Anne".into())).await;
    let changes = other.changes(&entity(), &other_from, 10).await.unwrap().changes;
    assert_eq!(changes.last().unwrap().correlation, None);

    let notes = file.findings().await;
    assert!(notes[0].severity == Severity::Note && notes[0].problem.contains("avowal_other_"), "{notes:?}");
    assert!(!other.uninstall().await.unwrap().is_empty());
    assert_eq!(ours(&file, "other"), 0);
    assert_eq!(file.findings().await, vec![]);
    file.sql("UPDATE people SET note = 'z'");
    assert_eq!(told(&file.changes(&from).await, "note").last(), pairs([("1", "z")]).last());
    file.connector.uninstall().await.unwrap();
    assert_eq!(ours(&file, "none"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entity_that_is_renamed_leaves_nothing_of_its_old_name() {
    let file = File::new(SCHEMA).await;
    let all = ours(&file, "none");
    let renamed = Binding { entity: EntityName::new("contact"), ..binding("people", "id") };
    let renamed = file.open("none", renamed);
    let done = renamed.install().await.unwrap();
    assert_eq!(done.len(), 2, "{done:?}");
    assert_eq!(ours(&file, "none"), all);
    let from = renamed.feed_position(&EntityName::new("contact")).await.unwrap();
    file.sql("INSERT INTO people (id, name) VALUES (1, 'Ann')");
    let page = renamed.changes(&EntityName::new("contact"), &from, 10).await.unwrap();
    assert_eq!(told(&page.changes, "name"), pairs([("1", "Ann")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_entities_of_one_table_are_both_followed() {
    let file = File::new(SCHEMA).await;
    let all = ours(&file, "none");
    let contact = Binding { entity: EntityName::new("contact"), ..binding("people", "id") };
    let options = avowal_connectors::sqlite::SqliteOptions {
        path: file.path(),
        installation: avowal_engine::ports::connector::Installation::none(),
    };
    let both =
        avowal_connectors::sqlite::SqliteConnector::open(options, vec![binding("people", "id"), contact])
            .unwrap();
    assert_eq!(both.install().await.unwrap().len(), 1);
    assert!(ours(&file, "none") > all);
    assert_eq!(both.install().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_grows_keeps_its_log() {
    let file = File::new(SCHEMA).await;
    let mut narrow = binding("people", "id");
    narrow.columns.truncate(2);
    let before = file.open("other", narrow);
    before.install().await.unwrap();
    file.sql("INSERT INTO people (id, name) VALUES (1, 'Ann')");
    let old = before.list(&entity(), None, 10).await.unwrap().changes.remove(0).order.unwrap();
    let after = file.open("other", binding("people", "id"));
    assert_eq!(after.install().await.unwrap().len(), 1);
    let from = after.feed_position(&entity()).await.unwrap();
    file.sql("UPDATE people SET note = 'x'");
    let changes = after.changes(&entity(), &from, 10).await.unwrap().changes;
    assert_eq!(told(&changes, "note"), pairs([("1", "x")]));
    assert!(old.proven_older_than(changes[0].order.as_ref().unwrap()));
}
