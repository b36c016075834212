//! The recording proxy: what it records, and what each trouble does to a call.

use avowal_testkit::proxy::{Proxy, Trouble, Troubles};
use avowal_testkit::services::caller::{Caller, Method};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Runtime;

/// A service that counts its calls and answers with its path.
struct Counting {
    url: String,
    served: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Counting {
    fn start() -> Self {
        let served = Arc::new(AtomicUsize::new(0));
        let answer = |State(served): State<Arc<AtomicUsize>>, uri: Uri, body: String| async move {
            served.fetch_add(1, Ordering::SeqCst);
            let text = format!("\"{uri} {body}\"");
            if uri.path() == "/none" { (StatusCode::NOT_FOUND, text) } else { (StatusCode::OK, text) }
        };
        let router = Router::new().fallback(answer).with_state(Arc::clone(&served));
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { url, served, _runtime: runtime }
    }
}

#[test]
fn without_troubles_it_only_records() {
    let service = Counting::start();
    let proxy = Proxy::start(&service.url, 1).unwrap();
    let caller = Caller::new(&proxy.url(), &[]).unwrap();
    let body = serde_json::json!(7);
    assert_eq!(caller.request(Method::PATCH, "/a/b?c=d", Some(&body)).unwrap(), "/a/b?c=d 7");
    assert!(caller.get("/none").unwrap_err().to_string().contains("404"));
    let calls = proxy.take_calls();
    let seen: Vec<_> = calls
        .iter()
        .map(|call| {
            (call.method.as_str(), call.path.as_str(), call.query.as_str(), call.status, call.is_write())
        })
        .collect();
    assert_eq!(seen, [("PATCH", "/a/b", "c=d", Some(200), true), ("GET", "/none", "", Some(404), false)]);
    assert_eq!((calls[0].sent_bytes, calls[0].answered_bytes), (1, "\"/a/b?c=d 7\"".len()));
    assert!(proxy.take_calls().is_empty());
}

#[test]
fn each_trouble_reaches_the_service_or_does_not() {
    let always = |troubles: fn(&mut Troubles) -> &mut u16| {
        let mut all = Troubles::default();
        *troubles(&mut all) = 1000;
        all
    };
    let cases = [
        (Trouble::LostRequest, always(|all| &mut all.lost_requests), 0, None),
        (Trouble::LostAnswer, always(|all| &mut all.lost_answers), 1, None),
        (Trouble::FailedBefore, always(|all| &mut all.failed_before), 0, Some(500)),
        (Trouble::FailedAfter, always(|all| &mut all.failed_after), 1, Some(500)),
        (Trouble::Busy, always(|all| &mut all.busy), 0, Some(429)),
    ];
    for (trouble, troubles, served, status) in cases {
        let service = Counting::start();
        let proxy = Proxy::start(&service.url, 1).unwrap();
        proxy.trouble(troubles);
        let caller = Caller::new(&proxy.url(), &[]).unwrap();
        let answer = caller.request(Method::POST, "/x", None).unwrap_err().to_string();
        assert!(
            status.is_none_or(|status: u16| answer.contains(&status.to_string())),
            "{trouble:?}: {answer}"
        );
        assert_eq!(service.served.load(Ordering::SeqCst), served, "{trouble:?}");
        let calls = proxy.take_calls();
        assert_eq!((calls[0].trouble, calls[0].status, calls.len()), (Some(trouble), status, 1));
        proxy.calm();
        assert!(caller.get("/x").is_ok(), "{trouble:?}");
    }
}

#[test]
fn the_seed_decides_which_calls_meet_trouble() {
    let service = Counting::start();
    let met = |seed| {
        let proxy = Proxy::start(&service.url, seed).unwrap();
        proxy.trouble(Troubles { failed_before: 300, ..Troubles::default() });
        let caller = Caller::new(&proxy.url(), &[]).unwrap();
        (0..50).map(|_| caller.get("/x").is_err()).collect::<Vec<_>>()
    };
    assert_eq!(met(1), met(1));
    assert_ne!(met(1), met(2));
    assert!(met(1).contains(&true) && met(1).contains(&false));
}
