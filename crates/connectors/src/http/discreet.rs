//! What leaves the connector repeats no secret, whatever the service has echoed and wherever a message was made.

use super::call::client::Client;
use avowal_engine::ports::connector::{Change, ConnectorError, Finding, RemoteState, WriteOutcome};

impl Client {
    /// An error without secrets.
    pub(super) fn discreet_error(&self, error: ConnectorError) -> ConnectorError {
        ConnectorError { message: self.hide(error.message), ..error }
    }

    /// A finding without secrets.
    pub(super) fn discreet_finding(&self, finding: Finding) -> Finding {
        Finding { problem: self.hide(finding.problem), ..finding }
    }

    /// A copy whose explanation repeats no secret. What it holds is the service's own.
    pub(super) fn discreet_change(&self, change: Change) -> Change {
        let shown = match change.shown {
            RemoteState::Unreadable { reason, payload } => {
                RemoteState::Unreadable { reason: self.hide(reason), payload: self.hide(payload) }
            }
            RemoteState::Unread { reason } => RemoteState::Unread { reason: self.hide(reason) },
            shown @ (RemoteState::Present(_) | RemoteState::Gone | RemoteState::Unknown) => shown,
        };
        Change { shown, ..change }
    }

    /// An outcome whose reason repeats no secret.
    pub(super) fn discreet_outcome(&self, outcome: WriteOutcome) -> WriteOutcome {
        match outcome {
            WriteOutcome::Conflict { reason } => WriteOutcome::Conflict { reason: self.hide(reason) },
            WriteOutcome::Blocked { reason } => WriteOutcome::Blocked { reason: self.hide(reason) },
            WriteOutcome::Rejected { reason } => WriteOutcome::Rejected { reason: self.hide(reason) },
            WriteOutcome::Unknown { reason } => WriteOutcome::Unknown { reason: self.hide(reason) },
            WriteOutcome::Unauthorised { reason } => WriteOutcome::Unauthorised { reason: self.hide(reason) },
            WriteOutcome::Retry { after_ms, reason } => {
                WriteOutcome::Retry { after_ms, reason: self.hide(reason) }
            }
            WriteOutcome::Confirmed { id, after } => {
                WriteOutcome::Confirmed { id, after: after.map(|copy| self.discreet_change(copy)) }
            }
            WriteOutcome::Exists { copy } => WriteOutcome::Exists { copy: self.discreet_change(copy) },
            WriteOutcome::Missing => WriteOutcome::Missing,
        }
    }
}
