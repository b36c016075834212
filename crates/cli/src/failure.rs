//! How a command ends, and the exit codes that scripts rely on.

use crate::config::Problems;
use avowal_engine::EngineError;
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind};
use avowal_engine::ports::store::StoreError;
use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Everything that was asked for is done.
    Done,
    /// Something could not be done.
    Failed,
    /// The command or the configuration is wrong; nothing was done.
    Usage,
    /// A guard or a stop holds something until a person agrees.
    Held,
    /// What could be done is done; something waits for a person, is set aside, or is not delivered yet.
    Waiting,
    /// A system refuses our credentials.
    Refused,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> ExitCode {
        ExitCode::from(self.number())
    }

    /// The number of the exit code.
    pub fn number(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Held => 3,
            Exit::Waiting => 4,
            Exit::Refused => 5,
        }
    }
}

/// Why a command could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration has problems.
    #[error("{0}")]
    Config(Problems),
    /// The command asks for something that does not exist or makes no sense.
    #[error("{0}")]
    Usage(String),
    /// It could not be done.
    #[error("{0}")]
    Failed(String),
    /// A stop or a guard holds it.
    #[error("{0}")]
    Held(String),
    /// A system refuses our credentials.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    /// It could not be done.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// The command makes no sense as it was given.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// A system could not be used, in these words.
    fn of_system(error: &ConnectorError, message: String) -> Self {
        match error.kind {
            ConnectorErrorKind::Unauthorised => Self::Refused(message),
            ConnectorErrorKind::IdentityChanged => Self::Held(message),
            ConnectorErrorKind::Unreachable
            | ConnectorErrorKind::RateLimited { .. }
            | ConnectorErrorKind::SchemaDrift
            | ConnectorErrorKind::CursorExpired
            | ConnectorErrorKind::Protocol => Self::Failed(message),
        }
    }

    /// How the command ends because of it.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::Config(_) | Failure::Usage(_) => Exit::Usage,
            Failure::Failed(_) => Exit::Failed,
            Failure::Held(_) => Exit::Held,
            Failure::Refused(_) => Exit::Refused,
        }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Config(problems)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ConnectorError> for Failure {
    fn from(error: ConnectorError) -> Self {
        Self::of_system(&error, error.to_string())
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Usage(message) => Self::Usage(message),
            EngineError::System { system, error } => Self::of_system(&error, format!("{system}: {error}")),
            error @ (EngineError::Store(_) | EngineError::Contended { .. }) => {
                Self::Failed(error.to_string())
            }
        }
    }
}
