//! What is wrong with a declaration.

use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind};

/// An error in the configuration.
pub(crate) fn wrong(place: &str, problem: &str) -> ConnectorError {
    ConnectorError::new(
        ConnectorErrorKind::SchemaDrift,
        format!("{place}: {problem}"),
        Some("Correct the configuration"),
    )
}
