//! How a command ends, and the exit codes that scripts rely on.

use crate::config::Problems;
use avowal_engine::EngineError;
use avowal_engine::ports::connector::ConnectorError;
use avowal_engine::ports::store::StoreError;
use avowal_view::{Refusal, RefusalKind};
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

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal.kind {
            RefusalKind::UnknownName | RefusalKind::Usage => Self::Usage(refusal.message),
            RefusalKind::Held => Self::Held(refusal.message),
            RefusalKind::CredentialsRefused => Self::Refused(refusal.message),
            RefusalKind::NothingThere
            | RefusalKind::Ambiguous
            | RefusalKind::Busy
            | RefusalKind::SystemFailed
            | RefusalKind::StoreFailed => Self::Failed(refusal.message),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ConnectorError> for Failure {
    fn from(error: ConnectorError) -> Self {
        Refusal::of_system(&error, error.to_string()).into()
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Refusal::from(error).into()
    }
}
