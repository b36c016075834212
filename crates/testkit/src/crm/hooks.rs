//! The webhooks: made, held, repeated, lost and signed.

use super::Lies;
use avowal_core::data::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// How many deliveries are remembered.
const DELIVERIES_MAX: usize = 50_000;
/// How often a delivery is tried.
const ATTEMPTS: u32 = 3;

/// Where webhooks go, and how they are signed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The address, as in `http://127.0.0.1:8080/webhooks/crm`.
    pub url: String,
    /// `whsec_` and base64; unsigned without.
    #[serde(default)]
    pub secret: Option<String>,
}

/// One delivery, as the control interface shows it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sent {
    number: usize,
    id: String,
    body: Value,
    state: Fate,
}

/// What has become of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Fate {
    /// No target is set.
    Nowhere,
    /// Dropped by a lie.
    Dropped,
    /// Kept back by a lie.
    Held,
    /// On its way.
    Queued,
    /// Answered with success.
    Delivered,
    /// Given up.
    Failed,
}

/// A handle on the courier.
#[derive(Clone)]
pub(super) struct Hooks {
    desk: Arc<Mutex<Desk>>,
    queue: mpsc::UnboundedSender<Job>,
}

#[derive(Default)]
struct Desk {
    target: Option<Target>,
    deliveries: Vec<Sent>,
}

enum Job {
    Send { number: usize, id: String },
    Tell(oneshot::Sender<()>),
}

/// Starts the courier, which sends one delivery after the other.
pub(super) fn start(target: Option<Target>) -> (Hooks, JoinHandle<()>) {
    let desk = Arc::new(Mutex::new(Desk { target, deliveries: Vec::new() }));
    let (queue, jobs) = mpsc::unbounded_channel();
    let hooks = Hooks { desk: Arc::clone(&desk), queue };
    (hooks, tokio::spawn(carry(desk, jobs)))
}

impl Hooks {
    /// Changes the target.
    pub(super) fn aim(&self, target: Option<Target>) {
        lock(&self.desk).target = target;
    }

    /// Makes the delivery for a change.
    pub(super) fn announce(&self, kind: &str, contact: &Value, lies: &Lies) {
        let mut desk = lock(&self.desk);
        if desk.deliveries.len() >= DELIVERIES_MAX {
            return;
        }
        let number = desk.deliveries.len();
        let id = format!("msg_{number}_{}", now_ms());
        let state = match (lies.drop, lies.hold, &desk.target) {
            (true, _, _) => Fate::Dropped,
            (false, true, _) => Fate::Held,
            (false, false, None) => Fate::Nowhere,
            (false, false, Some(_)) => Fate::Queued,
        };
        desk.deliveries.push(Sent { number, id: id.clone(), body: body(kind, contact, lies), state });
        if state == Fate::Queued {
            self.send(number, id.clone());
            if lies.twice {
                self.send(number, id);
            }
        }
    }

    /// Sends what was held back; answers how many.
    pub(super) fn release(&self, reverse: bool) -> usize {
        let mut desk = lock(&self.desk);
        let mut held: Vec<_> = desk.deliveries.iter_mut().filter(|sent| sent.state == Fate::Held).collect();
        if reverse {
            held.reverse();
        }
        for sent in &mut held {
            sent.state = Fate::Queued;
            self.send(sent.number, sent.id.clone());
        }
        held.len()
    }

    /// Sends an old delivery again; whether there is one.
    pub(super) fn replay(&self, number: usize, fresh_id: bool) -> bool {
        let mut desk = lock(&self.desk);
        let Some(sent) = desk.deliveries.get_mut(number) else {
            return false;
        };
        let id = if fresh_id { format!("msg_{number}_{}_again", now_ms()) } else { sent.id.clone() };
        sent.state = Fate::Queued;
        self.send(number, id);
        true
    }

    /// Returns when everything queued so far has been dealt with.
    pub(super) async fn flush(&self) {
        let (tell, told) = oneshot::channel();
        // A courier that is gone has nothing left to deal with.
        if self.queue.send(Job::Tell(tell)).is_ok() {
            let _ = told.await;
        }
    }

    /// All deliveries so far.
    pub(super) fn deliveries(&self) -> Vec<Sent> {
        lock(&self.desk).deliveries.clone()
    }

    /// How many deliveries are in each state.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for sent in &lock(&self.desk).deliveries {
            *counts.entry(format!("{:?}", sent.state).to_lowercase()).or_default() += 1;
        }
        counts
    }

    fn send(&self, number: usize, id: String) {
        let _ = self.queue.send(Job::Send { number, id });
    }
}

async fn carry(desk: Arc<Mutex<Desk>>, mut jobs: mpsc::UnboundedReceiver<Job>) {
    let Ok(client) = crate::http::client() else { return };
    while let Some(job) = jobs.recv().await {
        match job {
            Job::Tell(tell) => {
                let _ = tell.send(());
            }
            Job::Send { number, id } => {
                let state = attempt(&client, &desk, number, &id).await;
                if let Some(sent) = lock(&desk).deliveries.get_mut(number) {
                    sent.state = state;
                }
            }
        }
    }
}

async fn attempt(client: &reqwest::Client, desk: &Mutex<Desk>, number: usize, id: &str) -> Fate {
    for attempt in 0..ATTEMPTS {
        let (target, body) = {
            let desk = lock(desk);
            let body = desk.deliveries.get(number).map(|sent| sent.body.to_string());
            (desk.target.clone(), body)
        };
        let (Some(target), Some(body)) = (target, body) else {
            return Fate::Nowhere;
        };
        let answer = request(client, &target, id, body).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return Fate::Delivered;
        }
        tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
    }
    Fate::Failed
}

/// The delivery is signed when it is sent, so that a late one is late and not forged.
fn request(client: &reqwest::Client, target: &Target, id: &str, body: String) -> reqwest::RequestBuilder {
    let timestamp = (now_ms() / 1000).to_string();
    let mut request = client
        .post(&target.url)
        .timeout(Duration::from_secs(10))
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", &timestamp);
    if let Some(signature) = target.secret.as_deref().and_then(|secret| sign(secret, id, &timestamp, &body)) {
        request = request.header("webhook-signature", signature);
    }
    request.body(body)
}

fn sign(secret: &str, id: &str, timestamp: &str, body: &str) -> Option<String> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

fn body(kind: &str, contact: &Value, lies: &Lies) -> Value {
    let mut data = contact.clone();
    if let (Some(only), Value::Object(map)) = (&lies.only_fields, &mut data) {
        map.retain(|name, _| name == "id" || only.contains(name));
    }
    let at = contact.get("updated_at").and_then(|at| at.as_str()?.parse::<Timestamp>().ok());
    let at = at.unwrap_or_default().plus_millis(lies.backdate_s.saturating_mul(-1000));
    json!({ "type": kind, "timestamp": at.to_string(), "data": data })
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis())
}

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}
