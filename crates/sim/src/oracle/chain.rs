//! The hash chain, verified from the wire form alone: parsed as JSON, spelled canonically by another library,
//! hashed anew.

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

/// Where a stream of events, as JSON, does not hold together.
pub(super) fn broken(events: &[Json]) -> Option<String> {
    let mut prev = "0".repeat(64);
    for (at, event) in events.iter().enumerate() {
        let place = || format!("{}-{}", event["record"].as_str().unwrap_or("?"), event["seq"]);
        if event["seq"].as_u64() != Some(at as u64 + 1) {
            return Some(format!("{} stands at place {}", place(), at + 1));
        }
        if event["prev"].as_str() != Some(&prev) {
            return Some(format!("{} does not carry the hash of the event before", place()));
        }
        let mut body = event.clone();
        let stated = body.as_object_mut().and_then(|members| members.remove("hash"));
        let stated = stated.and_then(|hash| hash.as_str().map(str::to_owned)).unwrap_or_default();
        let bytes = serde_json_canonicalizer::to_vec(&body).unwrap_or_default();
        let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        if hash != stated {
            return Some(format!("{} does not have the hash of its contents", place()));
        }
        prev = stated;
    }
    None
}
