//! Starting, stopping, and senders that never come to the point.

use super::webhook::listen;
use avowal_core::data::ids::SystemName;
use avowal_server::listen::bind;
use avowal_server::webhook::WebhookEndpoint;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test]
async fn an_unsigned_endpoint_is_not_opened_to_others() {
    let open = WebhookEndpoint::new(SystemName::new("crm"), Vec::new());
    let error = bind(([0, 0, 0, 0], 0).into(), &[open]).await.unwrap_err();
    assert!(error.to_string().contains("give crm a `secret`"), "{error}");
    let taken = bind(([127, 0, 0, 1], 0).into(), &[]).await.unwrap();
    let error = bind(taken.local_addr().unwrap(), &[]).await.unwrap_err();
    assert!(error.to_string().contains("another port"), "{error}");
}

#[tokio::test]
async fn slow_headers_are_closed() {
    let at = listen().await;
    let mut stream = TcpStream::connect(at.address).await.unwrap();
    stream.write_all(b"POST /webhooks/crm HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let begun = Instant::now();
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(9), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_delivery_under_way_is_answered_before_the_stop() {
    let at = listen().await;
    let request = tokio::spawn(at.signed("msg_1", 1_763_800_000, 1, "wait").send());
    tokio::time::sleep(Duration::from_millis(200)).await;
    at.stop.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(TcpStream::connect(at.address).await.is_err(), "nobody new is let in");
    at.shelf.gate.add_permits(1);
    assert_eq!(request.await.unwrap().unwrap().status(), 202);
    at.served.await.unwrap();
}
