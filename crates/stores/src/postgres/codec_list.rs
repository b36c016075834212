//! Short lists of texts in a column: JSON, or nothing where the list is empty.

use super::encode::LinkKey;
use super::error::Fault;
use crate::codec;
use std::collections::BTreeSet;

/// The column of a list.
pub(super) fn write<'a>(items: impl Iterator<Item = &'a str>) -> Result<Option<String>, Fault> {
    let items: Vec<&str> = items.collect();
    if items.is_empty() {
        return Ok(None);
    }
    Ok(Some(codec::to_json(&items)?))
}

/// The list of a column.
pub(super) fn read(column: Option<&str>, place: impl Fn() -> String) -> Result<Vec<String>, Fault> {
    match column {
        None => Ok(Vec::new()),
        Some(json) => Ok(codec::from_json(json, place)?),
    }
}

/// Links are written as system, entity, remote id, one after the other.
pub(super) fn triples(items: Vec<String>) -> BTreeSet<LinkKey> {
    let (triples, _) = items.as_chunks::<3>();
    triples.iter().map(|[system, entity, id]| (system.clone(), entity.clone(), id.clone())).collect()
}
