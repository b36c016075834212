//! Who asks a store: what is shown of one record, and what waits for people.

use crate::refusal::Refusal;
use avowal_core::data::ids::{EntityName, FieldName};
use avowal_core::explain::{RecordView, record_view};
use avowal_core::policy::EntityPolicy;
use avowal_core::record::Record;
use avowal_engine::ports::store::Store;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The rules by entity.
pub type Policies = BTreeMap<EntityName, Arc<EntityPolicy>>;

/// One who asks a store under some rules.
pub struct Reader<'a> {
    /// Where everything is.
    pub store: &'a dyn Store,
    /// The rules by entity.
    pub policies: &'a Policies,
    /// Is told what is to be said beside an answer.
    pub remark: &'a (dyn Fn(String) + Sync),
}

impl<'a> Reader<'a> {
    /// The rules of the entity that is named.
    pub fn policy(&self, entity: &str) -> Result<&'a Arc<EntityPolicy>, Refusal> {
        self.policies.get(entity).ok_or_else(|| {
            let known: Vec<&str> = self.policies.keys().map(EntityName::as_str).collect();
            Refusal::unknown_name(format!("no entity is called {entity:?}. There are: {}", known.join(", ")))
        })
    }

    /// One record, what is believed, and what stands in each system.
    pub async fn record(&self, entity: &str, key: &str) -> Result<RecordView, Refusal> {
        let policy = self.policy(entity)?;
        let record = self.find(policy, key).await?;
        Ok(record_view(policy, &record))
    }

    /// The record of an entity that a key names.
    pub(crate) async fn find_in(
        &self,
        entity: &str,
        key: &str,
    ) -> Result<(&'a Arc<EntityPolicy>, Record), Refusal> {
        let policy = self.policy(entity)?;
        Ok((policy, self.find(policy, key).await?))
    }
}

/// The field of this name.
pub(crate) fn known_field(policy: &EntityPolicy, name: &str) -> Result<FieldName, Refusal> {
    let field = FieldName::new(name);
    if policy.field(&field).is_some() {
        return Ok(field);
    }
    let known: Vec<&str> = policy.fields.keys().map(FieldName::as_str).collect();
    Err(Refusal::unknown_name(format!(
        "{} has no field {name:?}. There are: {}",
        policy.entity,
        known.join(", ")
    )))
}
