//! Starting, stopping, and senders that never come to the point.

use super::webhook::listen;
use avowal_core::data::ids::SystemName;
use avowal_server::listen::bind;
use avowal_server::webhook::WebhookEndpoint;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test]
async fn an_unsigned_endpoint_is_not_opened_to_others() {
    let open = WebhookEndpoint::new(SystemName::new("crm"), Vec::new());
    let error = bind(([0, 0, 0, 0], 0).into(), &[open]).await.unwrap_err();
    assert!(error.to_string().contains("give crm `webhook.secrets`"), "{error}");
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

/// Opens connections that announce a body and never send the whole of it.
async fn dawdlers(address: SocketAddr, count: usize, headers: &str, begin: &[u8]) -> Vec<TcpStream> {
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head =
            format!("POST /webhooks/crm HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(begin).await.unwrap();
        open.push(stream);
    }
    open
}

#[tokio::test]
async fn senders_that_dawdle_take_no_place_of_those_that_sign() {
    let at = listen().await;
    // Some have no signature, some a made-up one, and they are more than there is room for.
    let plausible = "webhook-id: a\r\nwebhook-timestamp: 1763800000\r\nwebhook-signature: v1,AAAA\r\n";
    let large = "x".repeat(200_000);
    let mut open = dawdlers(at.address, 80, "", b"abc").await;
    open.extend(dawdlers(at.address, 150, plausible, b"abc").await);
    open.extend(dawdlers(at.address, 40, plausible, large.as_bytes()).await);
    for (id, body) in [("small", "x".to_owned()), ("large", large)] {
        let reply =
            tokio::time::timeout(Duration::from_secs(2), at.signed(id, 1_763_800_000, 1, &body).send());
        assert_eq!(reply.await.unwrap().unwrap().status(), 202, "{id}");
    }
    drop(open);
}

#[tokio::test]
async fn a_sender_without_a_signature_is_answered_before_its_body() {
    let at = listen().await;
    let mut open = dawdlers(at.address, 1, "", b"abc").await;
    let mut reply = vec![0; 12];
    tokio::time::timeout(Duration::from_secs(2), open[0].read_exact(&mut reply)).await.unwrap().unwrap();
    assert_eq!(reply, b"HTTP/1.1 401");
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
