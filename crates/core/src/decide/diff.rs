//! What did this system change? The difference between what it shows and its own shadow.

use crate::data::ids::FieldName;
use crate::data::left_join::left_join;
use crate::data::value::Value;
use crate::record::Copy;
use std::collections::BTreeMap;

/// One field whose content differs from its shadow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference<'a> {
    /// The field.
    pub field: &'a FieldName,
    /// The shadow's content; `None` if the field was never shown before.
    pub from: Option<&'a Value>,
    /// The copy's current content.
    pub to: &'a Value,
}

/// The fields that differ from the copy's shadow. Absent fields never differ, and neither does the form in which the
/// system stored what we sent.
pub fn diff<'a>(copy: &'a Copy, shown: &'a BTreeMap<FieldName, Value>) -> Vec<Difference<'a>> {
    left_join(shown, &copy.fields)
        .filter_map(|(field, to, shadow)| match shadow {
            None => Some(Difference { field, from: None, to }),
            Some(shadow) if shadow.is_equivalent_to(to) => None,
            Some(shadow) => Some(Difference { field, from: Some(&shadow.content), to }),
        })
        .collect()
}
