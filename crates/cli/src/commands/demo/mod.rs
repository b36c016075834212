//! `avowal demo`: a day of an app and a CRM that both sides edit, played with the real commands.

mod stage;

use serde_json::{Value, json};
use stage::{Stage, Trouble};
use std::path::Path;

/// The customer whose day it is.
const ADA: &str = "email=ada.lovelace@example.com";

/// Plays the day in `folder`, which must be empty. Answers whether it ended as it has to.
pub async fn play(folder: &Path) -> Result<(), Trouble> {
    let mut stage = Stage::set(folder)?;
    say("An app database (SQLite) and a CRM (a process of its own, over HTTP) hold the same customers.");
    open_the_books(&stage).await?;
    say("The rules were written before any conflict. Each is one sentence:");
    stage.show(&["check", "--offline"])?;

    chapter(1, "The first sync: copies are linked by e-mail, missing ones are made");
    stage.show(&["plan"])?;
    stage.show(&["sync", "--yes"])?;

    chapter(2, "Disjoint edits: the app changes the phone, the CRM changes the stage");
    let ada = stage.contact("Ada Lovelace").await?;
    app_edits(
        &stage,
        "update customers set phone_number = '+1 (555) 010-2000' where full_name = 'Ada Lovelace'",
    )?;
    stage.agent_edits(&ada, json!({ "lifecycle_stage": "customer" })).await?;
    stage.show(&["sync"])?;
    say(
        "Both edits live. The CRM stored the phone in its own spelling; that is no change, and nothing bounces:",
    );
    stage.show(&["show", "customer", "email=ada@example.com"])?;

    late_webhook(&stage, &ada).await?;
    echo_and_partial(&stage, &ada).await?;
    concurrent_email(&stage, &ada).await?;

    chapter(6, "A set is united: the app adds a tag, the CRM adds one and removes another");
    app_edits(&stage, r#"update customers set tags = '["founder","vip"]' where full_name = 'Ada Lovelace'"#)?;
    stage.agent_edits(&ada, json!({ "tags": ["newsletter"] })).await?;
    stage.show(&["sync"])?;
    stage.show(&["why", "customer", ADA, "tags"])?;

    review(&stage, &ada).await?;

    chapter(8, "The whole story of one record, and why its e-mail is what it is");
    stage.show(&["timeline", "customer", ADA])?;
    stage.show(&["why", "customer", ADA, "email"])?;
    stage.show(&["history", "verify"])?;

    prove(&mut stage).await
}

async fn open_the_books(stage: &Stage) -> Result<(), Trouble> {
    stage.app()?.execute_batch(
        "create table customers (
             id integer primary key, email text not null, full_name text, phone_number text,
             stage text, tags text, tax_class text, updated_at text default current_timestamp);
         insert into customers (email, full_name, phone_number, stage, tags, tax_class) values
             ('ada@example.com', 'Ada Lovelace', '+15550101000', 'lead', '[\"founder\"]', 'standard'),
             ('grace@example.com', 'Grace Hopper', '+15550102222', 'qualified', '[]', 'standard'),
             ('edsger@example.com', 'Edsger Dijkstra', null, 'lead', '[\"newsletter\"]', 'reduced');",
    )?;
    let contacts = [
        json!({ "email": "ada@example.com", "name": "Ada Lovelace", "phone": "+15550101000",
                "lifecycle_stage": "lead", "tags": ["founder"], "tax_class": "standard" }),
        json!({ "email": "grace@example.com", "name": "Grace Hopper", "phone": "+15550102222",
                "lifecycle_stage": "qualified", "tags": [], "tax_class": "standard" }),
        json!({ "email": "alan@example.com", "name": "Alan Turing", "phone": "+15550103333",
                "lifecycle_stage": "lead", "tags": ["newsletter"], "tax_class": "standard" }),
    ];
    stage.control("POST", "lies", json!({ "drop": true })).await?;
    for fields in contacts {
        stage.control("POST", "contacts", json!({ "actor": "Sam (support)", "fields": fields })).await?;
    }
    Ok(())
}

async fn late_webhook(stage: &Stage, ada: &str) -> Result<(), Trouble> {
    chapter(3, "An hour-late webhook brings the old e-mail");
    say(
        "The CRM's webhooks are stuck. An agent notes a phone number; that webhook still carries the old e-mail.",
    );
    stage.control("POST", "lies", json!({ "hold": true, "backdate_s": 3600 })).await?;
    stage.agent_edits(ada, json!({ "phone": "+15550104444" })).await?;
    say("Meanwhile the customer changes the e-mail in the app, and a sync carries it over:");
    app_edits(
        stage,
        "update customers set email = 'ada.lovelace@example.com' where full_name = 'Ada Lovelace'",
    )?;
    stage.show(&["sync"])?;
    say("Now the late webhooks arrive, the first of them twice, at the running daemon:");
    let daemon = stage.daemon().await?;
    stage.control("POST", "lies", json!({})).await?;
    let held = stage.control("GET", "webhooks", Value::Null).await?;
    let first_held = held.as_array().and_then(|all| all.iter().find(|hook| hook["state"] == "held")).cloned();
    stage.control("POST", "release", json!({})).await?;
    stage.webhooks_answered().await?;
    if let Some(number) = first_held.as_ref().map(|hook| hook["number"].clone()) {
        stage.control("POST", "replay", json!({ "number": number })).await?;
        stage.webhooks_answered().await?;
    }
    daemon.stop().await?;
    expect(stage, "email", &json!("ada.lovelace@example.com"))?;
    say("The e-mail stands. The webhook is older than what is known, by the CRM's own counter:");
    tail(stage, 4)
}

async fn echo_and_partial(stage: &Stage, ada: &str) -> Result<(), Trouble> {
    chapter(4, "An echo comes back, and a payload that lacks most fields clears nothing");
    let daemon = stage.daemon().await?;
    app_edits(
        stage,
        "update customers set phone_number = '+1 555 010 5555' where full_name = 'Ada Lovelace'",
    )?;
    wait_until_delivered(stage, "phone", "crm").await?;
    stage.webhooks_answered().await?;
    stage.control("POST", "lies", json!({ "only_fields": ["lifecycle_stage", "rev"] })).await?;
    stage.agent_edits(ada, json!({ "lifecycle_stage": "qualified" })).await?;
    stage.webhooks_answered().await?;
    stage.control("POST", "lies", json!({})).await?;
    daemon.stop().await?;
    expect(stage, "lifecycle_stage", &json!("qualified"))?;
    expect(stage, "name", &json!("Ada Lovelace"))?;
    tail(stage, 8)
}

async fn concurrent_email(stage: &Stage, ada: &str) -> Result<(), Trouble> {
    chapter(5, "The app changes the e-mail while a support agent changes it in the CRM");
    app_edits(stage, "update customers set email = 'ada@lovelace.example' where full_name = 'Ada Lovelace'")?;
    stage.agent_edits(ada, json!({ "email": "ada@typo.example" })).await?;
    stage.show(&["sync"])?;
    say("Neither had seen the other. The rule was written before: local_wins. The CRM is corrected:");
    stage.show(&["why", "customer", "email=ada@lovelace.example", "email"])?;
    say("The customer changes it back to an earlier address. A person's A→B→A is a change, not an echo:");
    app_edits(
        stage,
        "update customers set email = 'ada.lovelace@example.com' where full_name = 'Ada Lovelace'",
    )?;
    stage.show(&["sync"])?;
    expect(stage, "email", &json!("ada.lovelace@example.com"))
}

async fn review(stage: &Stage, ada: &str) -> Result<(), Trouble> {
    chapter(7, "A field of the payroll kind: both sides change the tax class, so a person decides");
    app_edits(stage, "update customers set tax_class = 'exempt' where full_name = 'Ada Lovelace'")?;
    stage.agent_edits(ada, json!({ "tax_class": "reduced" })).await?;
    stage.show(&["sync"])?;
    stage.show(&["review", "list"])?;
    let open = stage.ask(&["review", "list"])?;
    let list = open.as_array().or_else(|| open["reviews"].as_array());
    let first = list.and_then(|list| list.first()).cloned().unwrap_or(Value::Null);
    let id = first["review"]["id"].as_str().or_else(|| first["id"].as_str());
    let id = id.ok_or_else(|| Trouble(format!("no review is open: {open}")))?;
    stage.show(&[
        "review",
        "resolve",
        id,
        "--take",
        "app",
        "--by",
        "Pat (payroll)",
        "--note",
        "certificate on file",
    ])?;
    stage.show(&["sync"])
}

/// Both systems are read by other means than Avowal's, and compared; then a further sync must have nothing to do.
async fn prove(stage: &mut Stage) -> Result<(), Trouble> {
    chapter(9, "The proof");
    let app = app_rows(stage)?;
    let crm = crm_rows(stage).await?;
    for row in &app {
        println!("    {row}");
    }
    if app != crm {
        let listed = crm.iter().map(|row| format!("    {row}")).collect::<Vec<_>>().join("\n");
        return Err(Trouble(format!("the systems differ. The CRM holds:\n{listed}")));
    }
    say(&format!("Read directly, both systems hold the same {} customers, field by field.", app.len()));
    let again = stage.ask(&["sync"])?;
    let written: u64 = again["systems"]
        .as_object()
        .map(|systems| systems.values().filter_map(|system| system["written"].as_u64()).sum())
        .ok_or_else(|| Trouble(format!("the report of sync is not understood: {again}")))?;
    let events = again["events"].as_u64().unwrap_or(u64::MAX);
    if written != 0 || events != 0 || !stage.crm_is_alive()? {
        return Err(Trouble(format!("a further sync should have nothing to do, but: {again}")));
    }
    say("A further sync made 0 writes and appended 0 events.");
    Ok(())
}

/// A value of a copy without the spelling that the CRM gives to phone numbers.
fn plain_phone(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect()
}

fn app_rows(stage: &Stage) -> Result<Vec<String>, Trouble> {
    let app = stage.app()?;
    let mut statement = app.prepare(
        "select email, full_name, coalesce(phone_number, ''), stage, coalesce(tags, '[]'), tax_class from customers",
    )?;
    let rows = statement.query_map([], |row| {
        let text = |at: usize| row.get::<_, Option<String>>(at).map(Option::unwrap_or_default);
        Ok((text(0)?, text(1)?, text(2)?, text(3)?, text(4)?, text(5)?))
    })?;
    let mut out = Vec::new();
    for row in rows {
        let (email, name, phone, stage, tags, tax) = row?;
        out.push(line(&email, &name, &phone, &stage, &serde_json::from_str(&tags)?, &tax));
    }
    out.sort();
    Ok(out)
}

async fn crm_rows(stage: &Stage) -> Result<Vec<String>, Trouble> {
    let mut out = Vec::new();
    for contact in stage.contacts().await? {
        let text = |name: &str| contact[name].as_str().unwrap_or_default().to_owned();
        let phone = text("phone");
        let row = line(
            &text("email"),
            &text("name"),
            &phone,
            &text("lifecycle_stage"),
            &contact["tags"],
            &text("tax_class"),
        );
        out.push(row);
    }
    out.sort();
    Ok(out)
}

fn line(email: &str, name: &str, phone: &str, stage: &str, tags: &Value, tax: &str) -> String {
    let mut tags: Vec<&str> =
        tags.as_array().map(|tags| tags.iter().filter_map(Value::as_str).collect()).unwrap_or_default();
    tags.sort_unstable();
    let phone = plain_phone(phone);
    format!("{email:26} {name:16} {phone:13} {stage:10} {:22} {tax}", tags.join(","))
}

fn app_edits(stage: &Stage, sql: &str) -> Result<(), Trouble> {
    println!("    app> {sql}");
    stage.app()?.execute_batch(sql)?;
    Ok(())
}

/// The last events of the record, without the rest.
fn tail(stage: &Stage, lines: usize) -> Result<(), Trouble> {
    stage.show(&["timeline", "customer", ADA, "--last", &lines.to_string()])
}

fn expect(stage: &Stage, field: &str, value: &Value) -> Result<(), Trouble> {
    let why = stage.ask(&["why", "customer", ADA, field])?;
    if why["value"] == *value {
        return Ok(());
    }
    Err(Trouble(format!("{field} should be {value}, but is {}", why["value"])))
}

async fn wait_until_delivered(stage: &Stage, field: &str, system: &str) -> Result<(), Trouble> {
    let began = std::time::Instant::now();
    loop {
        let why = stage.ask(&["why", "customer", ADA, field])?;
        let digits = why["value"].as_str().map(plain_phone).unwrap_or_default();
        if digits.ends_with("5555") && why["propagation"][system]["status"] == "confirmed" {
            return Ok(());
        }
        if began.elapsed().as_secs() > 15 {
            return Err(Trouble(format!("{field} did not reach {system}: {why}")));
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn chapter(number: u32, title: &str) {
    println!("{number}. {title}\n");
}

fn say(text: &str) {
    println!("    {text}\n");
}
