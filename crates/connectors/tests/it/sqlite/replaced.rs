//! Rows that come and go under one id, and rows that a statement removes without a trigger.

use super::{File, SCHEMA, pairs, told};

/// What the feed tells of `sql`, after two people and with an index beside the id.
async fn told_of(index: &str, sql: &str) -> Vec<(String, String)> {
    let file = File::new(&format!("{SCHEMA}; {index}")).await;
    file.sql(
        "INSERT INTO people (id, name, email, points) VALUES (1, 'Ann', 'a@b', 1), (2, 'Bob', 'b@b', 2)",
    );
    let from = file.position().await;
    file.sql(sql);
    told(&file.changes(&from).await, "name")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_replaced_through_any_index_is_gone() {
    let replace = "INSERT OR REPLACE INTO people (id, name, email) VALUES (9, 'Anne', 'A@B')";
    for index in [
        "CREATE UNIQUE INDEX u ON people (email COLLATE NOCASE)",
        "CREATE UNIQUE INDEX u ON people (lower(email))",
        "CREATE UNIQUE INDEX u ON people (lower(email) DESC, ifnull(note, '')) WHERE email IS NOT NULL",
        "CREATE UNIQUE INDEX u ON people (email COLLATE NOCASE) WHERE \"name\" <> 'it''s (nobody)' -- partly",
        "CREATE UNIQUE INDEX u ON people (substr(email, 1, 1) COLLATE NOCASE)",
    ] {
        let told = told_of(index, replace).await;
        assert_eq!(told, pairs([("1", "gone"), ("9", "Anne")]), "{index}");
        let told = told_of(index, "UPDATE OR REPLACE people SET email = 'A@B' WHERE id = 2").await;
        assert_eq!(told, pairs([("1", "gone"), ("2", "Bob")]), "{index}");
        let told =
            told_of(index, "INSERT OR IGNORE INTO people (id, name, email) VALUES (9, 'Anne', 'A@B')").await;
        assert_eq!(told, pairs([]), "{index}");
        let told = told_of(
            index,
            "INSERT INTO people (id, name, email) VALUES (1, 'Anne', 'A@B') ON CONFLICT (id) DO UPDATE SET name = 'Anna'",
        )
        .await;
        assert_eq!(told, pairs([("1", "Anna")]), "{index}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_index_leaves_out_are_not_asked_for() {
    let index = "CREATE UNIQUE INDEX u ON people (email COLLATE NOCASE) WHERE points > 1";
    let told = told_of(
        index,
        "INSERT OR REPLACE INTO people (id, name, email, points) VALUES (9, 'Anne', 'A@B', 7)",
    )
    .await;
    assert_eq!(told, pairs([("9", "Anne")]), "Ann's row is not in the index, so it stands");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_rows_may_go_for_one() {
    let index = "CREATE UNIQUE INDEX u ON people (email); CREATE UNIQUE INDEX v ON people (points)";
    let told =
        told_of(index, "INSERT OR REPLACE INTO people (id, name, email, points) VALUES (9, 'New', 'a@b', 2)")
            .await;
    let mut gone: Vec<_> =
        told.iter().filter(|(_, shown)| shown == "gone").map(|(id, _)| id.as_str()).collect();
    gone.sort_unstable();
    assert_eq!(gone, ["1", "2"]);
    assert_eq!(told.last(), pairs([("9", "New")]).last());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_comes_again_is_first_gone() {
    let sql = "DELETE FROM people WHERE id = 2; INSERT INTO people (name, email) VALUES ('Zoe', 'z@b')";
    assert_eq!(told_of("", sql).await, pairs([("2", "gone"), ("2", "Zoe")]));
    let sql = "INSERT OR REPLACE INTO people (id, name, email) VALUES (9, 'Anne', 'a@b'); INSERT INTO people (id, name, email) VALUES (1, 'Zoe', 'z@b')";
    let index = "CREATE UNIQUE INDEX u ON people (email)";
    assert_eq!(told_of(index, sql).await, pairs([("1", "gone"), ("9", "Anne"), ("1", "Zoe")]));
    // Ids that change places, through a free one.
    let sql = "UPDATE people SET id = 77 WHERE id = 1; UPDATE people SET id = 1 WHERE id = 2; UPDATE people SET id = 2 WHERE id = 77;";
    let told = told_of("", sql).await;
    let last: std::collections::BTreeMap<_, _> = told.into_iter().collect();
    assert_eq!(last.into_iter().collect::<Vec<_>>(), pairs([("1", "Bob"), ("2", "Ann"), ("77", "gone")]));
    // An update that takes another row's id.
    let told = told_of("", "UPDATE OR REPLACE people SET id = 1 WHERE id = 2").await;
    assert_eq!(told, pairs([("1", "gone"), ("2", "gone"), ("1", "Bob")]));
}
