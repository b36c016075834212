//! A run that is held to a plan: what the plan does not hold waits.

use crate::outbound::turn::{Dispatched, Target};
use crate::parts::error::EngineError;
use crate::parts::planned::{NamedCopy, PlanToKeep, Verdict, value_digest};
use crate::parts::settings::FirstWrites;
use avowal_core::data::ids::{FieldName, RecordId};
use avowal_core::data::value::Value;
use avowal_core::policy::EntityPolicy;
use avowal_core::record::Record;
use avowal_core::record::intent::Intent;
use std::collections::BTreeMap;

/// Why a write that no attempt was made at waits for another plan; `None` if it may go out.
pub(crate) async fn held_by_plan(
    target: Target<'_>,
    policy: &EntityPolicy,
    record: &Record,
    intent: &Intent,
    done: &mut Dispatched,
) -> Result<Option<String>, EngineError> {
    let plan: &PlanToKeep = match &target.parts.settings.first_writes {
        FirstWrites::Planned { plan, .. } => plan,
        FirstWrites::Ask | FirstWrites::Agreed { .. } => return Ok(None),
    };
    // How an attempt ended is found out whatever is planned now.
    if intent.is_open_attempt() {
        return Ok(None);
    }
    let mut digests = BTreeMap::new();
    for (field, outgoing) in &intent.fields {
        digests.insert(field.clone(), digests_of(target, policy, field, &outgoing.value).await?);
    }
    Ok(match plan.verdict(record, target.system, intent.operation, &digests) {
        Verdict::AsPlanned => None,
        Verdict::OutOfScope => Some("the plan was not about it".to_owned()),
        Verdict::MovedOn => {
            let copies: Vec<String> = NamedCopy::all_of(record).iter().map(ToString::to_string).collect();
            done.moved_on.push((record.id.clone(), format!("{} {}", record.entity, copies.join(", "))));
            Some("its record has moved on since the plan was made".to_owned())
        }
    })
}

/// The digests that a value may have in a plan.
async fn digests_of(
    target: Target<'_>,
    policy: &EntityPolicy,
    field: &FieldName,
    value: &Value,
) -> Result<Vec<String>, EngineError> {
    let is_reference = policy.field(field).is_some_and(|rules| rules.field_type.reference().is_some());
    let Some(to) = value.as_text().filter(|_| is_reference).map(RecordId::new) else {
        return Ok(vec![value_digest(value)]);
    };
    let referent = target.parts.store.load(std::slice::from_ref(&to)).await?.pop().flatten();
    let copies = referent.map(|referent| NamedCopy::all_of(&referent)).unwrap_or_default();
    Ok(copies.iter().map(NamedCopy::digest).collect())
}
