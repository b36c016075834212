//! P3: webhooks over HTTP, verified, decided and answered after a durable commit.

use crate::avowal::Workspace;
use crate::load::{CONNECTIONS, Driven, drive};
use crate::report::{Report, count};
use crate::{Outcome, bare, plot};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rusqlite::Connection;
use serde_json::{Value, json};
use sha2::Sha256;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// Contacts that exist before the first delivery; every connection changes its own ones.
const CONTACTS: usize = 1_920;

const KEY: &[u8; 32] = b"a key for measurements, 32 bytes";

/// Measures both routes.
pub fn measure(report: &mut Report, rows: u64) -> Outcome<()> {
    let each = usize::try_from(rows)?.clamp(CONNECTIONS, 50_000) / CONNECTIONS;
    let (served, events) = serve_avowal(each)?;
    let beside = serve_bare(each)?;
    let row = |what: &str, driven: &Driven, more: String| {
        let ms = |share| format!("{:.1}", driven.within_ms(share));
        vec![
            what.to_owned(),
            count(driven.latencies.len() as f64),
            count(driven.rate()),
            ms(0.5),
            ms(0.99),
            driven.refused.to_string(),
            more,
        ]
    };
    report.table(
        "webhooks",
        "P3: webhooks answered after a durable commit (64 connections, the load on the same cores)",
        &["route", "requests", "a second", "p50 ms", "p99 ms", "refused", "appended"],
        &[
            row(
                "`avowal run`: verified, mapped, decided, history, intents",
                &served,
                format!("{events} events"),
            ),
            row("a bare axum route, one row a request, same writer", &beside, "one row each".to_owned()),
        ],
    );
    let distribution = |driven: &Driven| -> Vec<(f64, f64)> {
        (0..=100).map(|share| (f64::from(share), driven.within_ms(f64::from(share) / 100.0))).collect()
    };
    let svg = plot::line("webhooks: latency", "percent of the requests", "ms", &distribution(&served), false);
    report.plot("webhooks", "webhook-latency.svg", "latency of webhooks", &svg)
}

fn serve_avowal(each: usize) -> Outcome<(Driven, u64)> {
    let crm = serve_contacts()?;
    let address = free_address()?;
    let place = Workspace::new(&configuration(crm, address))?;
    Connection::open(place.path("app.db"))?.execute_batch(
        "create table customers (id integer primary key, email text unique, name text, phone text, stage text)",
    )?;
    place.sync(&[])?;
    let events = || -> Outcome<u64> {
        let store = Connection::open(place.path("avowal.db"))?;
        Ok(store.query_row("select count(*) from events", [], |row| row.get::<_, i64>(0))?.unsigned_abs())
    };
    let before = events()?;
    let daemon = place.run()?;
    let driven = drive(address, each, move |connection, number| delivery(address, connection, number))?;
    drop(daemon);
    Ok((driven, events()? - before))
}

fn serve_bare(each: usize) -> Outcome<Driven> {
    let folder = tempfile::tempdir()?;
    let mut server = Command::new(std::env::current_exe()?)
        .arg(bare::COMMAND)
        .arg(folder.path().join("bare.db"))
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(server.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
    let address: SocketAddr = line.trim().parse()?;
    let driven = drive(address, each, move |connection, number| {
        let body = body(connection, number);
        request("/", address, "", &body)
    });
    server.kill()?;
    server.wait()?;
    driven
}

fn delivery(address: SocketAddr, connection: usize, number: usize) -> Vec<u8> {
    let body = body(connection, number);
    let id = format!("msg-{connection}-{number}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let headers = format!(
        "webhook-id: {id}\r\nwebhook-timestamp: {now}\r\nwebhook-signature: {}\r\n",
        signature(&id, now, &body)
    );
    request("/webhooks/crm", address, &headers, &body)
}

fn signature(id: &str, now: u64, body: &str) -> String {
    // A key of this length is always accepted.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(KEY) else { return String::new() };
    mac.update(format!("{id}.{now}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn request(path: &str, address: SocketAddr, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
        .into_bytes()
}

/// A new telephone number for one of the connection's contacts.
fn body(connection: usize, number: usize) -> String {
    let mine = CONTACTS / CONNECTIONS;
    let contact = contact(connection * mine + number % mine, 2 + number / mine);
    json!({ "type": "contact.updated", "data": contact }).to_string()
}

fn contact(n: usize, rev: usize) -> Value {
    json!({
        "id": format!("c-{n}"), "rev": rev, "email": format!("person{n}@example.com"), "name": format!("Person {n}"),
        "phone": format!("+1555{n:05}{rev:04}"), "stage": "lead",
        "updated_at": format!("2026-01-01T00:00:00.{rev:03}Z"),
    })
}

/// A service that lists the contacts and knows of no change.
fn serve_contacts() -> Outcome<SocketAddr> {
    let socket = TcpListener::bind(("127.0.0.1", 0))?;
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    let list = async |uri: axum::http::Uri| {
        let number = |key: &str| {
            let pairs = uri.query().into_iter().flat_map(|query| query.split('&'));
            pairs.filter_map(|pair| pair.strip_prefix(key)).find_map(|value| value.parse::<usize>().ok())
        };
        let asks_for_changes = uri.query().is_some_and(|query| query.contains("updated_since"));
        let all = if asks_for_changes { 0 } else { CONTACTS };
        let (page, size) = (number("page=").unwrap_or(1).max(1), number("per_page=").unwrap_or(100).max(1));
        let shown: Vec<Value> = (0..all).skip((page - 1) * size).take(size).map(|n| contact(n, 1)).collect();
        Json(json!({ "contacts": shown, "page": page, "total_pages": all.div_ceil(size).max(1) }))
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let router = Router::new().route("/contacts", get(list));
            axum::serve(tokio::net::TcpListener::from_std(socket)?, router).await
        })
    });
    Ok(address)
}

fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

fn configuration(crm: SocketAddr, listen: SocketAddr) -> String {
    let secret = STANDARD.encode(KEY);
    format!(
        r#"
[store]
url = "sqlite:avowal.db"
[listen]
addr = "{listen}"
[systems.app]
connector = "sqlite"
url = "sqlite:app.db"
local = true
[systems.crm]
connector = "http"
url = "http://{crm}"
allow_private = true
poll_ms = 60000
webhook = {{ secrets = ["whsec_{secret}"] }}
[entities.customer]
match_on = ["email"]
[entities.customer.fields]
email = {{ type = "string", owner = "crm" }}
name = {{ type = "string", owner = "crm" }}
phone = {{ type = "string", owner = "crm" }}
stage = {{ type = "string", owner = "crm" }}
[entities.customer.systems.app]
object = "customers"
id = "id"
fields = {{ email = "email", name = "name", phone = "phone", stage = "stage" }}
[entities.customer.systems.crm]
object = "contacts"
id = "id"
fields = {{ email = "email", name = "name", phone = "phone", stage = "stage" }}
[entities.customer.systems.crm.http]
items = "/contacts"
paging = {{ style = "page", total_pages = "/total_pages" }}
counter = "rev"
updated = "updated_at"
changes = {{ query = {{ updated_since = "{{since}}" }} }}
trust = "body"
webhook = {{ events = ["contact.*"], deleted = ["contact.deleted"] }}
"#
    )
}
