//! Rights that are missing or taken away, and transactions that hold the feed back.

use super::schema_changes::every_statement;
use super::{Database, SCHEMA, connect, entity, names, person};
use avowal_engine::ports::connector::{Connector, ConnectorErrorKind, Severity, WriteOutcome};
use avowal_testkit::connector_suite::binding;
use avowal_testkit::postgres::PrivatePostgres;

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_is_no_trouble_and_is_named_while_it_holds_the_feed_back() {
    let mut server = PrivatePostgres::start().unwrap();
    server.psql("postgres", "ALTER SYSTEM SET max_prepared_transactions = 5").unwrap();
    server.restart().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    let cursor = db.position().await;
    db.sql("BEGIN; INSERT INTO people (name) VALUES ('two-phase'); PREPARE TRANSACTION 'gid 1'").await;
    db.sql("INSERT INTO people (name) VALUES ('later')").await;
    assert_eq!(db.changes(&cursor).await, vec![]);
    let notices = db.connector.notices().await.unwrap();
    assert!(notices[0].problem.contains("prepared transaction 'gid 1'"), "{notices:?}");
    assert!(notices[0].problem.contains("1 change waits"), "{notices:?}");
    db.sql("COMMIT PREPARED 'gid 1'").await;
    assert_eq!(names(&db.changes(&cursor).await), ["two-phase", "later"]);
    assert_eq!(db.connector.notices().await.unwrap(), vec![]);

    // One that was forgotten in another database holds it back as well.
    let elsewhere = person(&server.create_database("elsewhere").unwrap()).await;
    let forgotten = "SET application_name = 'report'; BEGIN; CREATE TEMP TABLE z (i int)";
    elsewhere.batch_execute(forgotten).await.unwrap();
    let cursor = db.position().await;
    db.sql("UPDATE people SET name = 'waits' WHERE name = 'later'").await;
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    assert_eq!(db.changes(&cursor).await, vec![]);
    let notices = db.connector.notices().await.unwrap();
    let problem = &notices[0].problem;
    for word in ["elsewhere", "process", "\"report\"", "role avowal"] {
        assert!(problem.contains(word), "{word}: {problem}");
    }
    assert_eq!(notices.len(), 1, "our own connections are not to blame: {notices:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_does_not_own_the_table_works_or_is_told_what_it_lacks() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.connector.uninstall().await.unwrap();
    db.sql("CREATE ROLE syncer LOGIN PASSWORD 'syncer'; DROP SCHEMA IF EXISTS avowal_none").await;
    let url = db.url.replace("avowal:a-test-password", "syncer:syncer");
    let syncer = connect(&url, binding("people", "id"));
    let mut rounds = 0;
    loop {
        let mut findings = syncer.check().await.unwrap();
        findings.retain(|finding| finding.severity == Severity::Problem);
        if findings.is_empty() {
            break;
        }
        assert!(rounds < 4, "{findings:?}");
        for finding in findings {
            db.sql(finding.cure.rsplit(": ").next().unwrap()).await;
        }
        rounds += 1;
    }
    assert!(rounds > 0);
    syncer.install().await.unwrap();
    let cursor = syncer.feed_position(&entity()).await.unwrap();
    db.sql("INSERT INTO people (name) VALUES ('Ann')").await;
    assert_eq!(names(&syncer.changes(&entity(), &cursor, 10).await.unwrap().changes), ["Ann"]);
    let outcomes = syncer.write(&entity(), &[super::set("k", "1", "name", "Anne")]).await;
    assert!(matches!(&outcomes[0], WriteOutcome::Confirmed { .. }), "{outcomes:?}");

    // Rights that are taken away later, and row security, never fail the application.
    db.sql("REVOKE SELECT ON people FROM syncer").await;
    every_statement(&db.person, "name").await;
    db.sql(
        "GRANT SELECT ON people TO syncer; CREATE ROLE app LOGIN PASSWORD 'app'; GRANT ALL ON people TO app;
         GRANT USAGE ON SEQUENCE people_id_seq TO app; ALTER TABLE people ENABLE ROW LEVEL SECURITY;
         CREATE POLICY mine ON people USING (current_setting('app.tenant') = name) WITH CHECK (true)",
    )
    .await;
    let app = person(&db.url.replace("avowal:a-test-password", "app:app")).await;
    let theirs = "SET app.tenant = 'x'; INSERT INTO people (name) VALUES ('x'); UPDATE people SET note = 'n'; \
                  DELETE FROM people";
    app.batch_execute(theirs).await.unwrap();
    let error = syncer.list(&entity(), None, 10).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::Unauthorised, "a hidden row must not look deleted: {error}");
    let findings = syncer.check().await.unwrap();
    assert!(findings.iter().any(|finding| finding.cure.contains("BYPASSRLS")), "{findings:?}");
    assert!(!syncer.uninstall().await.unwrap().is_empty());
    every_statement(&db.person, "name").await;
}
