//! Every command of `avowal`, with a resolver and a validator of one's own: `cargo run -p avowal --example custom -- check`.

use avowal::{Cli, DomainResolution, DomainResolver, DomainValidator, FieldChange, FieldConflict, Value};
use std::process::ExitCode;

fn main() -> ExitCode {
    Cli::new().resolver(PromisedDiscount).validator(IbanChecksum).run()
}

/// A customer keeps the larger of two discounts; more than 30 % was hardly meant, so a person is asked.
pub struct PromisedDiscount;

impl DomainResolver for PromisedDiscount {
    fn name(&self) -> &str {
        "promised_discount"
    }
    fn version(&self) -> u32 {
        1
    }
    fn resolve(&self, conflict: &FieldConflict<'_>) -> DomainResolution {
        let larger = conflict.local.value.max(conflict.external.value);
        if *larger > Value::from(30) {
            return DomainResolution::ManualReviewRequired { reason: format!("a discount of {larger} %") };
        }
        DomainResolution::Merged(larger.clone())
    }
}

/// The last test of ISO 13616: the number, with its first four characters at the end and letters as 10 to 35, leaves 1
/// when it is divided by 97.
pub struct IbanChecksum;

impl DomainValidator for IbanChecksum {
    fn name(&self) -> &str {
        "iban"
    }
    fn version(&self) -> u32 {
        1
    }
    fn check(&self, change: &FieldChange<'_>) -> Result<(), String> {
        let Some(iban) = change.to.as_text() else { return Ok(()) };
        let iban: Vec<char> = iban.chars().filter(|char| !char.is_whitespace()).collect();
        let mut turned = iban.iter().cycle().skip(4).take(iban.len());
        let rest = turned.try_fold(0, |rest, char| {
            let digit = char.to_digit(36)?;
            let places = if digit < 10 { 10 } else { 100 };
            Some((rest * places + digit) % 97)
        });
        if iban.len() > 4 && rest == Some(1) { Ok(()) } else { Err("its check digits are wrong".to_owned()) }
    }
}
