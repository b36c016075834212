//! How a command ends, and the exit codes that scripts rely on.

use crate::config::Problems;
use avowal_engine::EngineError;
use avowal_engine::ports::connector::ConnectorError;
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
    /// A guard has stopped writes until a person agrees.
    Held,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Held => 3,
        })
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

    /// How the command ends because of it.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::Config(_) | Failure::Usage(_) => Exit::Usage,
            Failure::Failed(_) => Exit::Failed,
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
        Self::Failed(error.to_string())
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Usage(message) => Self::Usage(message),
            error @ (EngineError::Store(_) | EngineError::System { .. } | EngineError::Contended { .. }) => {
                Self::Failed(error.to_string())
            }
        }
    }
}
