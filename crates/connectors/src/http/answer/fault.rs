//! Faults inside answers with a successful status.

use super::look::descend;
use super::reply::Reply;
use super::words::harmless;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Members of an answer's outermost object that report a fault where they hold anything.
const FAULTS: [&str; 5] = ["error", "errors", "fault", "exception", "Error"];
/// Members that report a fault where they are false.
const SUCCESSES: [&str; 3] = ["success", "ok", "succeeded"];

/// The fault at the declared place, in the service's words.
pub(crate) fn declared_fault(reply: &Reply, failure: Option<&str>) -> Option<String> {
    let found = reply.at(failure?)?.get();
    holds(found).then(|| harmless(found))
}

/// A fault that the object around the copies reports. Not to be asked of a copy: its fields may have these names.
pub(crate) fn envelope_fault(reply: &Reply) -> Option<String> {
    let whole: &RawValue = serde_json::from_slice(&reply.body).ok()?;
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(whole.get()).ok()?;
    let told = |name: &str| members.get(name).map(|member| member.get()).filter(|found| holds(found));
    if let Some(found) = FAULTS.iter().find_map(|name| told(name)) {
        return Some(harmless(found));
    }
    let failed =
        SUCCESSES.iter().any(|name| members.get(*name).is_some_and(|member| member.get() == "false"));
    let status = descend(whole, "/status").map(RawValue::get).unwrap_or_default();
    let failed =
        failed || matches!(status.to_ascii_lowercase().as_str(), "\"error\"" | "\"fail\"" | "\"failed\"");
    failed.then(|| harmless(&reply.words()))
}

fn holds(found: &str) -> bool {
    !matches!(found, "null" | "false" | "[]" | "{}" | "\"\"" | "0")
}
