//! What a fake system enforces on its rows: values that must be unique, and references that must exist.

use super::rows::Rows;
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_engine::ports::connector::Fields;

/// A rule that a system's own tables hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Constraint {
    /// No two rows of the entity hold the same value in the column; null may stand in any number of them.
    Unique {
        /// Of which entity.
        entity: &'static str,
        /// Which column.
        column: &'static str,
    },
    /// The column is null or names an existing row, which cannot be deleted while it does.
    Reference {
        /// Of which entity.
        entity: &'static str,
        /// Which column.
        column: &'static str,
        /// The entity of the named row.
        to: &'static str,
        /// The column of that row which holds the name; its id where there is none.
        key: Option<&'static str>,
    },
}

impl Constraint {
    /// Why a row may not become this, in the system's words; `after` is `None` for a delete.
    pub(super) fn refusal(
        &self,
        rows: &Rows,
        entity: &EntityName,
        id: &RemoteId,
        after: Option<&Fields>,
    ) -> Option<String> {
        match *self {
            Constraint::Unique { entity: of, column } => {
                let value = after?.get(column).filter(|value| entity.as_str() == of && !value.is_null())?;
                let mut others = rows.all(entity).into_iter().filter(|(other, _)| other != id);
                others.find(|(_, row)| row.get(column) == Some(value))?;
                Some(format!("duplicate key: ({column})=({value}) already exists"))
            }
            Constraint::Reference { entity: of, column, to, key } => {
                if entity.as_str() == of
                    && let Some(value) =
                        after.and_then(|row| row.get(column)).filter(|value| !value.is_null())
                {
                    let is_it = |(other, row): (&RemoteId, &Fields)| match key {
                        None => value.as_text() == Some(other.as_str()),
                        Some(key) => row.get(key) == Some(value),
                    };
                    let is_itself = to == of && after.is_some_and(|row| is_it((id, row)));
                    if !is_itself && !rows.all(&EntityName::new(to)).iter().any(is_it) {
                        return Some(format!("foreign key: ({column})=({value}) is not present in {to}"));
                    }
                }
                if entity.as_str() != to || after.is_some() {
                    return None;
                }
                let held = rows.now(entity, id)?;
                let names_it = |row: &Fields| match key {
                    None => row.get(column).and_then(|value| value.as_text()) == Some(id.as_str()),
                    Some(key) => held.get(key).is_some_and(|value| row.get(column) == Some(value)),
                };
                let mut others = rows.all(&EntityName::new(of)).into_iter();
                others.find(|(other, row)| !(of == to && other == id) && names_it(row))?;
                Some(format!("foreign key: {id} is still referenced from {of}"))
            }
        }
    }
}
