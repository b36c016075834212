//! Why something could not be shown or done, in a kind for programs and a sentence for people.

use avowal_engine::EngineError;
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind};
use avowal_engine::ports::store::StoreError;
use serde::{Deserialize, Serialize};

/// Why something could not be shown or done. The message says what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind.
    pub kind: RefusalKind,
    /// What is wrong and what to do, fit for whoever asked.
    pub message: String,
}

/// Kinds of refusals. A command's exit code and a route's status follow from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// An entity, field, system, review or item of this name does not exist.
    UnknownName,
    /// Nothing is there yet: no record by this key, no belief.
    NothingThere,
    /// Several records answer to the key.
    Ambiguous,
    /// The request makes no sense as it was given.
    Usage,
    /// Somebody else was faster, or is doing it already: ask again.
    Busy,
    /// A stop or a guard holds it.
    Held,
    /// A system refuses our credentials.
    CredentialsRefused,
    /// A system could not be used.
    SystemFailed,
    /// The store could not do its work.
    StoreFailed,
}

impl Refusal {
    /// A refusal of this kind.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The request makes no sense as it was given.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Usage, message)
    }

    /// What is named does not exist.
    pub fn unknown_name(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::UnknownName, message)
    }

    /// Nothing is there yet.
    pub fn nothing_there(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::NothingThere, message)
    }

    /// A system could not be used, in these words.
    pub fn of_system(error: &ConnectorError, message: String) -> Self {
        let kind = match error.kind {
            ConnectorErrorKind::Unauthorised => RefusalKind::CredentialsRefused,
            ConnectorErrorKind::IdentityChanged => RefusalKind::Held,
            ConnectorErrorKind::Unreachable
            | ConnectorErrorKind::RateLimited { .. }
            | ConnectorErrorKind::SchemaDrift
            | ConnectorErrorKind::CursorExpired
            | ConnectorErrorKind::Protocol => RefusalKind::SystemFailed,
        };
        Self { kind, message }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::new(RefusalKind::StoreFailed, error.to_string())
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Usage(message) => Self::usage(message),
            EngineError::System { system, error } => Self::of_system(&error, format!("{system}: {error}")),
            EngineError::Store(error) => error.into(),
            error @ EngineError::Contended { .. } => Self::new(RefusalKind::Busy, error.to_string()),
        }
    }
}
