//! What a person decides about a whole system: that it is the one that we know after it was restored, or that our change
//! log leaves it.

use crate::inbound::reading::Source;
use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::ports::store::{Commit, CommitOutcome, CursorKind, CursorMove, Position};
use avowal_core::data::ids::SystemName;

/// Takes a system for the one that we know although its identity has changed: everything is listed again and judged
/// against the shadows. Nothing is written to it until its stop is lifted.
pub(crate) async fn adopt(parts: &Parts, system: &SystemName) -> Result<(), EngineError> {
    for entity in parts.systems.entities(system) {
        let Some(source) = Source::new(parts, system, entity) else { continue };
        source.connector.install().await.map_err(|error| source.failed(error))?;
        let feed = source.cursor(CursorKind::Feed).await?;
        if let Some(cursor) = feed.as_ref().and_then(Position::cursor) {
            source.connector.adopt(entity, cursor).await.map_err(|error| source.failed(error))?;
        }
        source.begin_again().await?;
    }
    Ok(())
}

/// Makes sure that a system is the one that we know: its feed goes on where it was read last.
pub(crate) async fn recognise(parts: &Parts, system: &SystemName) -> Result<(), EngineError> {
    for entity in parts.systems.entities(system) {
        let Some(source) = Source::new(parts, system, entity) else { continue };
        let feed = source.cursor(CursorKind::Feed).await?;
        if let Some(cursor) = feed.as_ref().and_then(Position::cursor) {
            source.connector.changes(entity, cursor, 1).await.map_err(|error| source.failed(error))?;
        }
    }
    Ok(())
}

/// Removes everything of ours from a system. The next run installs its log anew and lists everything again.
pub(crate) async fn uninstall(parts: &Parts, system: &SystemName) -> Result<Vec<String>, EngineError> {
    let Some(connector) = parts.connector(system) else {
        return Err(EngineError::Usage(format!("no system is named {system}")));
    };
    let removed = connector.uninstall().await.map_err(|error| EngineError::of_system(system, error))?;
    for entity in parts.systems.entities(system) {
        let Some(source) = Source::new(parts, system, entity) else { continue };
        let mut cursors = Vec::new();
        for kind in CursorKind::ALL {
            let from = source.cursor(kind).await?;
            if from.is_some() {
                cursors.push(CursorMove { name: source.cursor_name(kind), from, to: Position::Again });
            }
        }
        match parts.store.commit(Commit { cursors, ..Commit::default() }).await? {
            CommitOutcome::Committed => {}
            CommitOutcome::Conflict { what: reason }
            | CommitOutcome::Duplicate { key: reason }
            | CommitOutcome::Unknown { reason } => {
                return Err(EngineError::Usage(format!(
                    "the log was removed from {system}, but the store did not take note of it ({reason}); run the \
                     command again"
                )));
            }
        }
    }
    Ok(removed)
}
