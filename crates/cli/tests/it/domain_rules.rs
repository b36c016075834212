//! A program with a resolver and a validator of its own, and the stock command that lacks them.

use crate::bench::Bench;
use avowal::Cli;
use rusqlite::Connection;
use std::process::ExitCode;

#[path = "../../examples/custom.rs"]
#[allow(dead_code)]
mod custom;

const CONFIG: &str = r#"[store]
url = "sqlite:avowal.db"

[systems.app]
connector = "sqlite"
url = "sqlite:app.db"
local = true

[systems.crm]
connector = "sqlite"
url = "sqlite:crm.db"

[settings]
settle_ms = 0

[entities.customer]
match_on = ["email"]

[entities.customer.fields]
email = { type = "string", owner = "app" }
discount = { type = "integer", owner = "shared", resolver = "promised_discount" }
iban = { type = "string", owner = "app", proposals = ["crm"], validator = "iban" }

[entities.customer.systems.app]
object = "customers"
id = "id"
fields = { email = "email", discount = "discount", iban = "iban" }

[entities.customer.systems.crm]
object = "contacts"
id = "id"
fields = { email = "email", discount = "discount", iban = "iban" }
"#;

/// The example's command in the folder.
fn custom(bench: &Bench, arguments: &[&str]) -> ExitCode {
    let config = bench.path("avowal.toml");
    let arguments = ["-c", config.to_str().unwrap()].into_iter().chain(arguments.iter().copied());
    Cli::new().resolver(custom::PromisedDiscount).validator(custom::IbanChecksum).run_with(arguments)
}

/// The app's and the CRM's database.
fn databases(bench: &Bench) -> [(Connection, &'static str); 2] {
    [("app.db", "customers"), ("crm.db", "contacts")]
        .map(|(file, table)| (Connection::open(bench.path(file)).unwrap(), table))
}

/// Discount and IBAN of a customer, as the app and the CRM hold them.
fn rows(bench: &Bench, email: &str) -> [(i64, String); 2] {
    databases(bench).map(|(database, table)| {
        let query = format!("SELECT discount, iban FROM {table} WHERE email = ?1");
        database.query_row(&query, [email], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    })
}

#[test]
fn the_stock_command_refuses_names_that_are_not_registered() {
    let ended = Bench::with(CONFIG).avowal(&["check", "--offline"]);
    assert_eq!(ended.code, 2);
    insta::assert_snapshot!(ended.err.trim_end(), @r#"
    avowal.toml:21:61: customer: fields discount: no resolver "promised_discount" is registered in this binary. Register it in `main` with `.resolver(…)`, or remove `resolver`.
    avowal.toml:22:75: customer: fields iban: no validator "iban" is registered in this binary. Register it in `main` with `.validator(…)`, or remove `validator`.
    "#);
}

#[test]
fn a_program_syncs_by_its_own_resolver_and_validator() {
    let bench = Bench::with(CONFIG);
    for (database, table) in databases(&bench) {
        let sql = format!(
            "CREATE TABLE {table} (id INTEGER PRIMARY KEY, email TEXT, discount INTEGER, iban TEXT);
             INSERT INTO {table} (email, discount, iban) VALUES ('ann@example.org', 5, 'DE89 3704 0044 0532 0130 00');
             INSERT INTO {table} (email, discount, iban) VALUES ('bob@example.org', 5, 'DE89 3704 0044 0532 0130 00');"
        );
        database.execute_batch(&sql).unwrap();
    }
    assert_eq!(custom(&bench, &["check", "--offline"]), ExitCode::SUCCESS);
    assert_eq!(custom(&bench, &["sync", "--yes"]), ExitCode::SUCCESS);
    assert_eq!(custom(&bench, &["check"]), ExitCode::SUCCESS);

    let [(app, _), (crm, _)] = databases(&bench);
    app.execute_batch(
        "UPDATE customers SET discount = 10; UPDATE customers SET discount = 40 WHERE email LIKE 'bob%'",
    )
    .unwrap();
    crm.execute_batch("UPDATE contacts SET discount = 15, iban = 'DE88 3704 0044 0532 0130 00'").unwrap();
    // 40 % waits for a person.
    assert_eq!(custom(&bench, &["sync", "--yes"]), ExitCode::from(4));

    // The larger discount is kept, and the IBAN with wrong check digits is overwritten.
    let ann = (15, "DE89 3704 0044 0532 0130 00".to_owned());
    assert_eq!(rows(&bench, "ann@example.org"), [ann.clone(), ann]);
    // 40 % goes to a person, so each side keeps its own number meanwhile.
    assert_eq!(rows(&bench, "bob@example.org").map(|(discount, _)| discount), [40, 15]);
}
