//! Following a change feed. Where it is a log, its pages overlap: while one is being recorded the next is decided about,
//! and the one after that is asked for. They become durable in their order all the same.

use crate::inbound::batch::{Batch, Ingested};
use crate::inbound::pull::{Pulled, demote, name, stuck};
use crate::ports::connector::{Connector, ConnectorError, PAGES_AHEAD_MAX, Page};
use crate::ports::lanes::Claim;
use crate::ports::store::{Cursor, CursorKind, CursorMove, CursorName, Position};
use crate::run::engine::{Engine, EngineError};
use crate::run::progress::{Progress, Step, SystemReport};
use avowal_core::data::ids::{EntityName, RemoteId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::planted::{Mistake, planted};
use avowal_core::record::observation::Channel;
use futures::StreamExt as _;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// How many pages of a log are taken in side by side.
const PAGES_ABREAST: usize = 2;
const _: () = assert!(PAGES_ABREAST < PAGES_AHEAD_MAX);

/// A feed that is being followed.
struct Feed<'a> {
    engine: &'a Engine,
    system: &'a SystemName,
    entity: &'a EntityName,
    connector: &'a Arc<dyn Connector>,
    name: CursorName,
    /// How many pages may be under way.
    abreast: usize,
}

/// Where the following of a feed stands.
struct Following<'a> {
    /// Where the next page begins.
    at: Cursor,
    /// The last page has been seen.
    is_at_end: bool,
    /// Nothing more is begun.
    is_ending: bool,
    /// Why it does not go on to the end.
    failed: Option<EngineError>,
    is_asking: bool,
    /// A page that has come and is not being taken in yet.
    come: Option<Batch>,
    /// How many pages have begun to be taken in.
    taken: u64,
    /// The pages that are being taken in, in their order.
    taking: VecDeque<Taking>,
    under_way: FuturesUnordered<BoxFuture<'a, News>>,
}

/// A page that is being taken in.
struct Taking {
    number: u64,
    copies: BTreeSet<RemoteId>,
    /// Tells it that the pages before it are durable.
    go: Option<oneshot::Sender<()>>,
}

/// What has come to an end.
enum News {
    Page(Timestamp, Result<Page, ConnectorError>),
    /// The page with this number.
    Taken(u64, Result<Ingested, EngineError>),
}

impl Engine {
    /// Follows a feed to its end.
    pub(crate) async fn follow(
        &self,
        system: &SystemName,
        entity: &EntityName,
        claim: &Claim,
        report: &mut SystemReport,
        progress: &dyn Progress,
    ) -> Result<Pulled, EngineError> {
        let mut pulled = Pulled::default();
        let Some(connector) = self.connector(system) else { return Ok(pulled) };
        let name = name(system, entity, CursorKind::Feed);
        let Some(at) = self.store.cursor(&name).await?.and_then(Position::into_cursor) else {
            self.anchor_feed(system, entity).await?;
            return Ok(pulled);
        };
        // Only what a log shows is as true when the page before it has been taken in.
        let abreast = if self.has_log(system, entity) { PAGES_ABREAST } else { 1 };
        let feed = Feed { engine: self, system, entity, connector, name, abreast };
        let mut following = Following::from(at);
        loop {
            feed.go_on(&mut following);
            match following.under_way.next().await {
                None => return following.failed.map_or(Ok(pulled), Err),
                Some(News::Page(asked_at, page)) => {
                    following.is_asking = false;
                    let received = match page {
                        Ok(page) => {
                            let asked = (asked_at, page);
                            feed.receive(&mut following, asked, claim, report, progress).await
                        }
                        Err(error) => Err(self.failed(system, error)),
                    };
                    match received {
                        Ok(true) => {}
                        Ok(false) => following.end(None),
                        // What has come before is taken in all the same.
                        Err(error) => {
                            following.is_at_end = true;
                            following.failed = Some(error);
                        }
                    }
                }
                Some(News::Taken(number, ingested)) => {
                    following.taking.retain(|taking| taking.number != number);
                    match ingested {
                        Err(error) => following.end(Some(error)),
                        Ok(ingested) => {
                            pulled.add(ingested);
                            if ingested.moved && !following.is_ending {
                                // Somebody else has read on. What is under way began elsewhere and comes to nothing.
                                following.under_way.clear();
                                let stored = self.store.cursor(&feed.name).await?;
                                let Some(at) = stored.and_then(Position::into_cursor) else {
                                    return Ok(pulled);
                                };
                                following = Following::from(at);
                            } else {
                                following.let_next_go();
                            }
                        }
                    }
                }
            }
        }
    }
}

impl<'a> Following<'a> {
    fn from(at: Cursor) -> Self {
        Self {
            at,
            is_at_end: false,
            is_ending: false,
            failed: None,
            is_asking: false,
            come: None,
            taken: 0,
            taking: VecDeque::new(),
            under_way: FuturesUnordered::new(),
        }
    }

    /// Nothing more is asked for or begun. What is being made durable is heard to its end; what waits for it comes to
    /// nothing.
    fn end(&mut self, error: Option<EngineError>) {
        self.is_ending = true;
        self.is_at_end = true;
        self.come = None;
        self.failed = self.failed.take().or(error);
        self.taking.iter_mut().for_each(|taking| taking.go = None);
    }

    fn let_next_go(&mut self) {
        if let Some(go) = self.taking.front_mut().and_then(|next| next.go.take()) {
            // Whoever does not wait for it has gone.
            let _ = go.send(());
        }
    }

    /// Whether a page shows a copy that one under way shows as well. It would be decided on a state that is about to
    /// change.
    fn meets(&self, batch: &Batch) -> bool {
        let is_taken = |id: &RemoteId| self.taking.iter().any(|taking| taking.copies.contains(id));
        batch.items.iter().any(|(_, change)| is_taken(&change.id))
    }
}

impl<'a> Feed<'a> {
    /// Begins whatever may begin now.
    fn go_on(&self, following: &mut Following<'a>) {
        let has_room = following.taking.len() < self.abreast;
        if let Some(batch) = following.come.take() {
            match has_room && !following.meets(&batch) {
                true => self.begin(following, batch),
                false => following.come = Some(batch),
            }
        }
        let may_ask = self.abreast > 1 || following.taking.is_empty();
        if may_ask && !following.is_asking && !following.is_at_end && following.come.is_none() {
            following.is_asking = true;
            following.under_way.push(Box::pin(self.ask(following.at.clone())));
        }
    }

    /// Begins to take a page in, as soon as those before it allow.
    fn begin(&self, following: &mut Following<'a>, batch: Batch) {
        let copies = batch.items.iter().map(|(_, change)| change.id.clone()).collect();
        following.taken += 1;
        let (engine, number) = (self.engine, following.taken);
        let (go, taken): (_, BoxFuture<'a, News>) = if following.taking.is_empty() {
            (None, Box::pin(async move { News::Taken(number, engine.ingest(batch).await) }))
        } else {
            let (go, may_go) = oneshot::channel();
            (Some(go), Box::pin(async move { News::Taken(number, engine.ingest_after(batch, may_go).await) }))
        };
        following.taking.push_back(Taking { number, copies, go });
        following.under_way.push(taken);
    }

    fn ask(&self, at: Cursor) -> impl Future<Output = News> + Send + use<'a> {
        let (engine, entity, connector) = (self.engine, self.entity, self.connector);
        async move {
            let asked_at = engine.clock.now();
            News::Page(asked_at, connector.changes(entity, &at, engine.settings.batch_records_max).await)
        }
    }

    /// Takes a page that has come. `false` ends the following: the claim is not certain any more.
    async fn receive(
        &self,
        following: &mut Following<'a>,
        asked: (Timestamp, Page),
        claim: &Claim,
        report: &mut SystemReport,
        progress: &dyn Progress,
    ) -> Result<bool, EngineError> {
        let (asked_at, mut page) = asked;
        let (engine, system, entity) = (self.engine, self.system, self.entity);
        if self.connector.capabilities(entity).images {
            demote(&mut page);
        }
        let read = engine.fill_in(system, entity, &mut page, report).await?;
        if !claim.is_firm() {
            // What was read may be old by now; whoever reads the feed instead of us begins where we began.
            return Ok(false);
        }
        let (more, to, changes) = (page.more, page.next.clone(), page.changes.len() as u64);
        if more && to == following.at && changes == 0 {
            return Err(engine.failed(system, stuck(entity)));
        }
        if changes > 0 {
            report.followed += changes;
            progress.tell(Step::Followed { system: system.clone(), entity: entity.clone(), changes });
        }
        let mut batch = engine.batch(system, Channel::Feed, entity, page, asked_at);
        batch.second_looks = read;
        let from = Some(Position::After(std::mem::replace(&mut following.at, to.clone())));
        batch.cursors.push(CursorMove { name: self.name.clone(), from, to: Position::After(to) });
        if planted(Mistake::AdvanceCursorEarly) {
            engine.move_cursors(std::mem::take(&mut batch.cursors)).await?;
        }
        following.is_at_end = !more;
        following.come = Some(batch);
        Ok(true)
    }
}
