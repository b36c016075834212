//! Bringing one entity of one system up to date: its first listing, its change feed, or a full listing.

use crate::inbound::feed::follow;
use crate::inbound::listing::{first_listing, list};
use crate::inbound::pulled::Pulled;
use crate::inbound::reading::{Reading, Source};
use crate::parts::assembly::Parts;
use crate::parts::claims::claim_feed;
use crate::parts::error::EngineError;
use crate::parts::progress::{Progress, SystemReport};
use crate::parts::stops::is_stopped;
use crate::ports::connector::Advice;
use crate::ports::store::Direction;
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::record::intent::IntentStatus;

/// One entity of one system that is to be read.
pub(crate) struct Pull<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) system: &'a SystemName,
    pub(crate) entity: &'a EntityName,
    pub(crate) report: &'a mut SystemReport,
    pub(crate) progress: &'a dyn Progress,
}

impl Pull<'_> {
    /// Brings the entity up to date: its first listing if that is not done, then its feed. A system that has
    /// forgotten our place is listed again.
    pub(crate) async fn up_to_date(self) -> Result<Pulled, EngineError> {
        let Self { parts, system, entity, report, progress } = self;
        let mut pulled = Pulled::default();
        if is_stopped(parts, system, Direction::In).await? {
            return Ok(pulled);
        }
        let _writes_wait = parts.systems.hold_writes(system).await;
        let Some(claim) = claim_feed(parts, system, entity).await? else {
            return Ok(Pulled::elsewhere());
        };
        let Some(source) = Source::new(parts, system, entity) else { return Ok(pulled) };
        let mut reading = Reading { source, claim: &claim, report, progress };
        match try_pull(&mut reading, &mut pulled).await {
            Err(EngineError::System { error, .. }) if error.kind.advice() == Advice::ListAgain => {
                source.begin_again().await?;
                try_pull(&mut reading, &mut pulled).await?;
            }
            Ok(()) => {}
            Err(error) => return Err(error),
        }
        claim.release().await;
        Ok(pulled)
    }

    /// Lists everything once more, to find drift; nothing is done while another worker reads the entity.
    pub(crate) async fn full_listing(self) -> Result<Pulled, EngineError> {
        let Self { parts, system, entity, report, progress } = self;
        if is_stopped(parts, system, Direction::In).await? {
            return Ok(Pulled::default());
        }
        let Some(claim) = claim_feed(parts, system, entity).await? else {
            return Ok(Pulled::elsewhere());
        };
        let Some(source) = Source::new(parts, system, entity) else { return Ok(Pulled::default()) };
        let mut reading = Reading { source, claim: &claim, report, progress };
        let pulled = list(&mut reading, true).await?;
        claim.release().await;
        Ok(pulled)
    }
}

async fn try_pull(reading: &mut Reading<'_>, pulled: &mut Pulled) -> Result<(), EngineError> {
    let source = reading.source;
    pulled.join(first_listing(reading).await?);
    if source.connector.capabilities(source.entity).feed {
        pulled.join(follow(reading).await?);
        if is_listing_wanted(source) {
            pulled.join(list(reading, false).await?);
        }
    } else if is_listing_due(source).await? {
        pulled.join(list(reading, false).await?);
    }
    Ok(())
}

/// Whether only a listing can tell what became of a create: neither a search nor a feed has shown it although every lag is
/// over.
fn is_listing_wanted(source: Source<'_>) -> bool {
    let Source { parts, system, entity, .. } = source;
    let since = parts.sent().wants_listing_since(system, entity);
    since.is_some_and(|since| !parts.listings().has_begun_since(system, entity, since))
}

/// Whether a source without a feed is listed now: as often as declared, and sooner where only a listing can show what
/// became of a create.
async fn is_listing_due(source: Source<'_>) -> Result<bool, EngineError> {
    let Source { parts, system, entity, connector } = source;
    let now = parts.clock.now();
    let poll_ms = parts.systems.poll_ms(system).unwrap_or_default();
    if parts.listings().is_due(system, entity, poll_ms, now) || is_listing_wanted(source) {
        return Ok(true);
    }
    let is_soon = parts.listings().is_due(system, entity, parts.settings.settle_ms, now);
    if connector.capabilities(entity).searchable || !is_soon {
        return Ok(false);
    }
    let counts = parts.store.open_counts().await?;
    let is_unknown = |(of, status, count): &(SystemName, IntentStatus, u64)| {
        of == system && *status == IntentStatus::Unknown && *count > 0
    };
    Ok(counts.intents.iter().any(is_unknown))
}
