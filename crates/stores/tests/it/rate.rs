use super::fresh;
use avowal_core::history::Body;
use avowal_engine::store::*;
use avowal_testkit::store_suite::sample::*;
use std::time::Instant;
fn cpu() -> u64 { let s = std::fs::read_to_string("/proc/self/stat").unwrap(); let v: Vec<_> = s.rsplit(')').next().unwrap().split_whitespace().map(str::to_owned).collect(); (v[11].parse::<u64>().unwrap() + v[12].parse::<u64>().unwrap()) * 10 }
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate() {
    let (_f, store) = fresh();
    let mut streams: Vec<Stream> = (0..5000).map(|n| Stream::linked(&format!("{n:06}"), "crm", &format!("{n}")).link("app", &format!("{n}")).link("billing", &format!("{n}"))).collect();
    for round in 0..2 {
        for chunk in streams.chunks_mut(500) {
            let mut c = Commit::default();
            for s in chunk { for _ in 0..(if round == 0 {5} else {8}) { s.push(Body::Resumed { system: "crm".into() }); } s.plan("app", &format!("k{round}")); c.records.push(s.step()); }
            let (t, c0) = (Instant::now(), cpu());
            store.commit(c).await.unwrap();
            eprintln!("round {round}: commit 500: {:?} cpu {}", t.elapsed(), cpu() - c0);
        }
    }
    let keys: Vec<_> = (0..1000).map(|n| copy("crm", &n.to_string())).collect();
    let (t, c0) = (Instant::now(), cpu());
    for _ in 0..20 { store.locate(&keys).await.unwrap(); }
    eprintln!("locate 20x1000: {:?} cpu {}", t.elapsed(), cpu() - c0);
    let ids: Vec<_> = streams[..500].iter().map(|s| s.state.id.clone()).collect();
    let (t, c0) = (Instant::now(), cpu());
    for _ in 0..4 { store.load(&ids).await.unwrap(); }
    eprintln!("load 4x500: {:?} cpu {}", t.elapsed(), cpu()-c0);
    let (t, c0) = (Instant::now(), cpu());
    let tasks: Vec<_> = streams.drain(..64).map(|mut s| { let store = store.clone(); tokio::spawn(async move { for _ in 0..50 { s.push(Body::Resumed { system: "crm".into() }); store.commit(s.commit()).await.unwrap(); } }) }).collect();
    for t in tasks { t.await.unwrap(); }
    eprintln!("64x50 single commits: {:?} cpu {}", t.elapsed(), cpu()-c0);
}
