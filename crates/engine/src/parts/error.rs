//! Why a step of the engine could not be carried out.

use crate::ports::connector::ConnectorError;
use crate::ports::store::StoreError;
use avowal_core::data::ids::SystemName;

/// Why a step could not be carried out. Nothing is lost: the step begins again from what is durable.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// The store could not do its work, so no system can go on.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A system could not be used. The other systems go on.
    #[error("{system}: {error}")]
    System {
        /// Which.
        system: SystemName,
        /// Why.
        error: ConnectorError,
    },
    /// A record kept changing under a decision.
    #[error("the records of {system} kept changing while they were decided; run again")]
    Contended {
        /// Whose facts were decided.
        system: SystemName,
    },
    /// A command named something that does not exist, or answered a review that is not open.
    #[error("{0}")]
    Usage(String),
}

impl EngineError {
    /// The error of a call to `system`.
    pub(crate) fn of_system(system: &SystemName, error: ConnectorError) -> Self {
        EngineError::System { system: system.clone(), error }
    }
}
