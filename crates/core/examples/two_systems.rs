//! Two systems in one program: an app and a CRM hold the same customer, and the core decides between them.
//!
//! The program brings a resolver and a validator of its own. Run it with `cargo run -p avowal-core --example two_systems`.

use avowal_core::{
    Channel, ConfirmedBy, CopyState, DomainResolution, DomainResolver, DomainRules, DomainValidator,
    EntityPolicy, EntitySpec, FieldChange, FieldConflict, FieldName, FieldSpec, MappingSpec, Observation,
    Place, PolicyError, Receipt, Record, RemoteId, SystemName, SystemTraits, Timestamp, Value, confirmed,
    event_line, observe, policy_sentences, sent,
};
use std::collections::{BTreeMap, BTreeSet};

/// Two spellings of one phone number are one number: the longer one says more.
struct PhoneNumbers;

impl DomainResolver for PhoneNumbers {
    fn name(&self) -> &str {
        "phone_numbers"
    }
    fn version(&self) -> u32 {
        1
    }
    fn resolve(&self, conflict: &FieldConflict<'_>) -> DomainResolution {
        let digits = |value: &Value| -> String {
            value.as_text().unwrap_or_default().chars().filter(char::is_ascii_digit).collect()
        };
        let (local, external) = (digits(conflict.local.value), digits(conflict.external.value));
        match (
            local.ends_with(external.trim_start_matches('0')),
            external.ends_with(local.trim_start_matches('0')),
        ) {
            (true, _) => DomainResolution::Local,
            (false, true) => DomainResolution::External,
            (false, false) => {
                DomainResolution::ManualReviewRequired { reason: "the numbers differ".to_owned() }
            }
        }
    }
}

/// A customer who has been billed keeps the name that stands on the bills.
struct BilledName;

impl DomainValidator for BilledName {
    fn name(&self) -> &str {
        "billed_name"
    }
    fn version(&self) -> u32 {
        1
    }
    fn check(&self, change: &FieldChange<'_>) -> Result<(), String> {
        let is_billed = change.believed("billed") == Some(&Value::from(true));
        if is_billed && change.from.is_some() {
            Err("the customer has been billed".to_owned())
        } else {
            Ok(())
        }
    }
}

/// The rules, written before any conflict.
fn policy() -> Result<EntityPolicy, Vec<PolicyError>> {
    let columns = [("name", "name"), ("phone", "phone"), ("billed", "billed")];
    let spec = EntitySpec {
        fields: BTreeMap::from([
            (
                "name".into(),
                FieldSpec { validator: Some("billed_name".into()), ..FieldSpec::new("string", "app") },
            ),
            (
                "phone".into(),
                FieldSpec { resolver: Some("phone_numbers".into()), ..FieldSpec::new("string", "shared") },
            ),
            ("billed".into(), FieldSpec::new("boolean", "app")),
        ]),
        systems: BTreeMap::from([
            ("app".into(), MappingSpec::new("customers", "id", columns)),
            ("crm".into(), MappingSpec::new("contacts", "id", columns)),
        ]),
        ..EntitySpec::default()
    };
    let systems = ["app", "crm"]
        .map(|name| (name.into(), SystemTraits { local: name == "app", ..SystemTraits::default() }));
    let domain = DomainRules::new().resolver(PhoneNumbers).validator(BilledName);
    spec.build_with(&"customer".into(), &systems.into(), &BTreeSet::from(["customer".into()]), &domain)
}

/// The program: its two systems, the record that stands between them, and a clock.
struct Program {
    policy: EntityPolicy,
    systems: BTreeMap<SystemName, BTreeMap<FieldName, Value>>,
    record: Record,
    now: Timestamp,
}

impl Program {
    /// Someone edits a row. The program does not look yet.
    fn edit(&mut self, system: &str, fields: &[(&str, Value)]) {
        let row = self.systems.entry(system.into()).or_default();
        row.extend(fields.iter().map(|(field, value)| (FieldName::new(field), value.clone())));
    }

    /// Shows one system's row to the core, and writes nothing yet.
    fn look(&mut self, system: &str) {
        self.now = self.now.plus_millis(60_000);
        let shown = CopyState::Present(self.systems[system].clone());
        let seen =
            Observation::new(system, "customer", format!("{system}-1"), Channel::Read, shown, self.now);
        // The program holds the row itself, so what it reads is never older than what it last wrote.
        let decision =
            observe(&self.policy, self.record.clone(), &Observation { place: Place::Quiescent, ..seen });
        decision.events.iter().for_each(|event| println!("{}", event_line(event)));
        // A real program stores the record and the events in one transaction here.
        self.record = decision.record;
    }

    /// Writes what is planned, until every copy holds what is believed.
    fn write(&mut self) {
        while let Some((system, intent)) = self.record.intents.clone().pop_first() {
            self.record = sent(&self.policy, self.record.clone(), &system, self.now).record;
            let row = self.systems.entry(system.clone()).or_default();
            row.extend(intent.fields.iter().map(|(field, outgoing)| (field.clone(), outgoing.value.clone())));
            let receipt = Receipt {
                system: &system,
                key: &intent.key,
                after: row,
                order: None,
                version: None,
                by: ConfirmedBy::Receipt,
            };
            let id = RemoteId::new(format!("{system}-1"));
            let done = confirmed(&self.policy, self.record.clone(), &id, &receipt, self.now);
            done.events.iter().for_each(|event| println!("{}", event_line(event)));
            self.record = done.record;
        }
    }
}

/// Public, so that a test runs it too.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let policy = policy().map_err(|holes| holes[0].clone())?;
    policy_sentences(&policy).iter().for_each(|(_, sentence)| println!("{sentence}"));
    let (record, now) =
        (Record::new("r1".into(), "customer".into()), Timestamp::from_millis(1_767_261_600_000));
    let mut program = Program { policy, systems: BTreeMap::new(), record, now };

    println!("\nThe app has a customer; the CRM gets a copy.");
    program.edit("app", &[("name", "Ann".into()), ("phone", "030 1234".into()), ("billed", true.into())]);
    program.look("app");
    program.write();

    println!("\nBoth spell the number anew, unseen by each other: the resolver decides.");
    program.edit("app", &[("phone", "030 12 34".into())]);
    program.edit("crm", &[("phone", "+49 30 1234".into())]);
    program.look("app");
    program.look("crm");
    program.write();

    println!(
        "\nThe app renames a customer who has been billed: the validator refuses, and the name is written back."
    );
    program.edit("app", &[("name", "Anna".into())]);
    program.look("app");
    program.write();

    assert_eq!(program.systems["app"], program.systems["crm"]);
    assert_eq!(program.systems["crm"]["phone"], Value::from("+49 30 1234"));
    assert_eq!(program.systems["app"]["name"], Value::from("Ann"));
    Ok(())
}
