//! Several change logs in one database: of two systems, and of an entity that was renamed.

use super::{Database, SCHEMA, binding, connect, entity, names};
use avowal_connectors::postgres::{PostgresConnector, PostgresOptions};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_engine::ports::connector::{Binding, Connector, Installation};
use avowal_testkit::postgres::PrivatePostgres;

#[tokio::test(flavor = "multi_thread")]
async fn two_systems_may_be_two_tables_of_one_database() {
    let server = PrivatePostgres::start().unwrap();
    let db =
        Database::new(&server, &format!("{SCHEMA}; CREATE TABLE others (LIKE people INCLUDING ALL)")).await;
    let installation = Installation::new("0123abcd").unwrap();
    let system = |name: &str, object: &str| {
        let installation = installation.in_system(&SystemName::new(name));
        let options = PostgresOptions { url: db.url.clone(), installation };
        PostgresConnector::connect(options, vec![binding(object, "id")]).unwrap()
    };
    let (app, crm) = (system("app", "people"), system("crm", "others"));
    app.install().await.unwrap();
    crm.install().await.unwrap();
    let (from_app, from_crm) =
        (app.feed_position(&entity()).await.unwrap(), crm.feed_position(&entity()).await.unwrap());
    db.sql("INSERT INTO people (name) VALUES ('Ann'); INSERT INTO others (name) VALUES ('Bob')").await;
    assert_eq!(names(&app.changes(&entity(), &from_app, 10).await.unwrap().changes), ["Ann"]);
    assert_eq!(names(&crm.changes(&entity(), &from_crm, 10).await.unwrap().changes), ["Bob"]);
    crm.uninstall().await.unwrap();
    db.sql("INSERT INTO people (name) VALUES ('Cy')").await;
    assert_eq!(names(&app.changes(&entity(), &from_app, 10).await.unwrap().changes), ["Ann", "Cy"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_an_entity_that_was_renamed_is_found_and_removed() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    let renamed = connect(&db.url, Binding { entity: EntityName::new("client"), ..binding("people", "id") });
    let left_over = async || {
        let findings = renamed.check().await.unwrap();
        findings.iter().filter(|finding| finding.problem.contains("left over")).count()
    };
    assert_eq!(left_over().await, 1);
    renamed.install().await.unwrap();
    assert_eq!(left_over().await, 0);
    let triggers = "SELECT string_agg(DISTINCT split_part(tgname, '_', 3), ',') FROM pg_trigger WHERE tgname LIKE 'avowal%'";
    let row = db.person.query_one(triggers, &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "client");
    db.sql("INSERT INTO people (name) VALUES ('Ann')").await;
}
