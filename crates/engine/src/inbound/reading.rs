//! What the readers of listings and feeds hold: the entity and system they read, under which claim, and who watches.

use crate::inbound::batch::Batch;
use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::parts::progress::{Progress, SystemReport};
use crate::parts::stops::is_stopped;
use crate::ports::connector::{Connector, ConnectorError, ConnectorErrorKind, Page};
use crate::ports::lanes::Claim;
use crate::ports::store::{
    Commit, CommitOutcome, Cursor, CursorKind, CursorMove, CursorName, Direction, Position,
};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::record::observation::Channel;
use futures::future::{Either, select};
use std::sync::Arc;

/// How often a move of cursors is tried while its outcome is unknown.
const MOVE_TRIES_MAX: u32 = 5;

/// One entity of one system, as it is read.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) system: &'a SystemName,
    pub(crate) entity: &'a EntityName,
    pub(crate) connector: &'a Arc<dyn Connector>,
}

/// The reading of a source by the worker that has claimed it.
pub(crate) struct Reading<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) claim: &'a Claim,
    pub(crate) report: &'a mut SystemReport,
    pub(crate) progress: &'a dyn Progress,
}

impl Reading<'_> {
    /// Whether what was read may be taken in: the claim certainly holds, nobody has stopped the system meanwhile, and the
    /// service is not about to end.
    pub(crate) async fn may_go_on(&self) -> Result<bool, EngineError> {
        let Source { parts, system, .. } = self.source;
        Ok(!parts.ending.has_begun()
            && self.claim.is_firm()
            && !is_stopped(parts, system, Direction::In).await?)
    }
}

impl<'a> Source<'a> {
    /// `None` where the engine has no such system.
    pub(crate) fn new(parts: &'a Parts, system: &'a SystemName, entity: &'a EntityName) -> Option<Self> {
        Some(Self { parts, system, entity, connector: parts.connector(system)? })
    }

    /// What a call answers that asks for a page, or nothing once the service is about to end: the answer is not taken in then.
    pub(crate) async fn page(
        &self,
        call: impl Future<Output = Result<Page, ConnectorError>> + Send,
    ) -> Result<Page, ConnectorError> {
        let ending = std::pin::pin!(self.parts.ending.begun());
        match select(std::pin::pin!(call), ending).await {
            Either::Left((page, _)) => page,
            Either::Right(_) => Ok(Page { changes: Vec::new(), next: Cursor(String::new()), more: false }),
        }
    }

    /// The error of a call to the system.
    pub(crate) fn failed(&self, error: ConnectorError) -> EngineError {
        EngineError::of_system(self.system, error)
    }

    /// The error where a page leads to itself, so that it would be asked for without end.
    pub(crate) fn stuck(&self) -> EngineError {
        self.failed(ConnectorError::new(
            ConnectorErrorKind::Protocol,
            format!("the pages of {} do not go on: the same position came twice", self.entity),
            Some("Check the paging that is declared for it"),
        ))
    }

    /// A page as a batch.
    pub(crate) fn batch(&self, channel: Channel, page: Page, asked_at: Timestamp) -> Batch {
        let mut batch = Batch::new(self.system, channel, self.parts.clock.now());
        batch.asked_at = asked_at;
        batch.items = page.changes.into_iter().map(|change| (self.entity.clone(), change)).collect();
        batch
    }

    /// Where the feed or the first listing stands in the store.
    pub(crate) async fn cursor(&self, kind: CursorKind) -> Result<Option<Position>, EngineError> {
        Ok(self.parts.store.cursor(&self.cursor_name(kind)).await?)
    }

    pub(crate) fn cursor_name(&self, kind: CursorKind) -> CursorName {
        CursorName { system: self.system.clone(), entity: self.entity.clone(), kind }
    }

    /// Remembers where the feed stands before the listing begins, so that no change in between is missed.
    pub(crate) async fn anchor_feed(&self) -> Result<(), EngineError> {
        if !self.connector.capabilities(self.entity).feed {
            return Ok(());
        }
        for _ in 0..MOVE_TRIES_MAX {
            let from = self.cursor(CursorKind::Feed).await?;
            if from.as_ref().is_some_and(|position| position.cursor().is_some()) {
                return Ok(());
            }
            let to = self.feed_position().await?;
            let name = self.cursor_name(CursorKind::Feed);
            self.move_cursors(vec![CursorMove { name, from, to: Position::After(to) }]).await?;
        }
        Err(EngineError::Contended { system: self.system.clone() })
    }

    /// The feed has lost our place, so everything is listed again under the same rules.
    pub(crate) async fn begin_again(&self) -> Result<(), EngineError> {
        let (feed, listing) = (self.cursor_name(CursorKind::Feed), self.cursor_name(CursorKind::Listing));
        let from = self.parts.store.cursor(&listing).await?;
        let mut moves = vec![CursorMove { from, name: listing, to: Position::Again }];
        if self.connector.capabilities(self.entity).feed {
            let to = self.feed_position().await?;
            let from = self.parts.store.cursor(&feed).await?;
            moves.push(CursorMove { name: feed, from, to: Position::After(to) });
        }
        self.move_cursors(moves).await
    }

    async fn feed_position(&self) -> Result<Cursor, EngineError> {
        self.connector.feed_position(self.entity).await.map_err(|error| self.failed(error))
    }

    pub(crate) async fn move_cursors(&self, cursors: Vec<CursorMove>) -> Result<(), EngineError> {
        for _ in 0..MOVE_TRIES_MAX {
            let commit = Commit { cursors: cursors.clone(), ..Commit::default() };
            match self.parts.store.commit(commit).await? {
                // Repeating it moves them if they have not been moved, and is a conflict if they have.
                CommitOutcome::Unknown { .. } => {}
                // A conflict means that another worker has moved them. The caller reads them again either way.
                CommitOutcome::Committed
                | CommitOutcome::Conflict { .. }
                | CommitOutcome::Duplicate { .. } => return Ok(()),
            }
        }
        Ok(())
    }
}
