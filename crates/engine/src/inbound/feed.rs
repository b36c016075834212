//! Following a change feed. Where it is a log, its pages overlap: while one is being recorded the next is decided,
//! and the one after that is asked for. They become durable in their order all the same.

use crate::inbound::batch::{Batch, Ingested};
use crate::inbound::facts::may_be_late;
use crate::inbound::ingest::{ingest, ingest_after};
use crate::inbound::pulled::Pulled;
use crate::inbound::reading::{Reading, Source};
use crate::parts::error::EngineError;
use crate::parts::progress::Step;
use crate::ports::connector::{Change, ConnectorError, PAGES_AHEAD_MAX, Page, RemoteState};
use crate::ports::store::{Cursor, CursorKind, CursorMove, CursorName, Position};
use avowal_core::data::ids::RemoteId;
use avowal_core::data::time::Timestamp;
use avowal_core::record::CopyKey;
use avowal_core::record::observation::Channel;
use futures::StreamExt as _;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many pages of a log are taken in side by side.
const PAGES_ABREAST: usize = 2;
const _: () = assert!(PAGES_ABREAST < PAGES_AHEAD_MAX);

/// Follows the feed of a source to its end.
pub(crate) async fn follow(reading: &mut Reading<'_>) -> Result<Pulled, EngineError> {
    let source = reading.source;
    let name = source.cursor_name(CursorKind::Feed);
    let Some(at) = source.parts.store.cursor(&name).await?.and_then(Position::into_cursor) else {
        source.anchor_feed().await?;
        return Ok(Pulled::default());
    };
    // Only what a log shows is still true when the page before it has been taken in.
    let abreast = if source.parts.systems.has_log(source.system, source.entity) { PAGES_ABREAST } else { 1 };
    let feed = Feed { reading, name, abreast };
    feed.follow(Following::from(source, at)).await
}

/// A feed that is being followed.
struct Feed<'r, 'a> {
    reading: &'r mut Reading<'a>,
    name: CursorName,
    /// How many pages may be taken in side by side.
    abreast: usize,
}

/// How far a feed has been followed.
struct Following<'a> {
    source: Source<'a>,
    /// Where the next page begins.
    at: Cursor,
    /// Whether the last page has been seen.
    is_at_end: bool,
    /// Whether nothing more is begun.
    is_ending: bool,
    /// Why the feed is not followed to its end.
    failed: Option<EngineError>,
    /// Whether a page is being asked for.
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
    /// A page was asked for at this time, and has come or not.
    Page(Timestamp, Result<Page, ConnectorError>),
    /// The page with this number was taken in, or not.
    Taken(u64, Result<Ingested, EngineError>),
}

/// Whether a feed is followed further.
enum Next {
    GoOn,
    Stop,
}

impl Feed<'_, '_> {
    async fn follow(mut self, mut following: Following<'_>) -> Result<Pulled, EngineError> {
        let mut pulled = Pulled::default();
        loop {
            following.go_on(self.abreast);
            match following.under_way.next().await {
                None => return following.failed.map_or(Ok(pulled), Err),
                Some(News::Page(asked_at, page)) => self.page_came(&mut following, asked_at, page).await,
                Some(News::Taken(number, ingested)) => {
                    following.taking.retain(|taking| taking.number != number);
                    match ingested {
                        Err(error) => following.end(Some(error)),
                        Ok(ingested) => {
                            pulled.add(ingested);
                            match self.page_taken(&mut following, ingested).await? {
                                Next::GoOn => {}
                                Next::Stop => return Ok(pulled),
                            }
                        }
                    }
                }
            }
        }
    }

    async fn page_came(
        &mut self,
        following: &mut Following<'_>,
        asked_at: Timestamp,
        page: Result<Page, ConnectorError>,
    ) {
        following.is_asking = false;
        let received = match page {
            Ok(page) => self.receive(following, asked_at, page).await,
            Err(error) => Err(self.reading.source.failed(error)),
        };
        match received {
            Ok(Next::GoOn) => {}
            Ok(Next::Stop) => following.end(None),
            // The pages that came before are taken in all the same.
            Err(error) => {
                following.is_at_end = true;
                following.failed = Some(error);
            }
        }
    }

    /// Receives a page that has come. Stops where the claim does not certainly hold any more.
    async fn receive(
        &mut self,
        following: &mut Following<'_>,
        asked_at: Timestamp,
        mut page: Page,
    ) -> Result<Next, EngineError> {
        let source = self.reading.source;
        if source.connector.capabilities(source.entity).images {
            demote(&mut page);
        }
        let read = self.fill_in(&mut page).await?;
        if !self.reading.may_go_on().await? {
            // What was read may be old by now. The worker that reads the feed instead of us begins where we began.
            return Ok(Next::Stop);
        }
        let (more, to, changes) = (page.more, page.next.clone(), page.changes.len() as u64);
        if more && to == following.at && changes == 0 {
            return Err(source.stuck());
        }
        if changes > 0 {
            self.reading.report.followed += changes;
            let (system, entity) = (source.system.clone(), source.entity.clone());
            self.reading.progress.tell(Step::Followed { system, entity, changes });
        }
        let mut batch = source.batch(Channel::Feed, page, asked_at);
        batch.second_looks = read;
        let from = Some(Position::After(std::mem::replace(&mut following.at, to.clone())));
        batch.cursors.push(CursorMove { name: self.name.clone(), from, to: Position::After(to) });
        following.is_at_end = !more;
        following.come = Some(batch);
        Ok(Next::GoOn)
    }

    /// Reads what the feed only names, so that an unchanged copy costs a read and nothing else. Answers which copies
    /// were read: a read may lag behind the feed, so they are read once more later.
    async fn fill_in(&mut self, page: &mut Page) -> Result<Vec<CopyKey>, EngineError> {
        let Source { parts, system, entity, .. } = self.reading.source;
        let named = page.changes.iter().filter(|change| change.shown == RemoteState::Unknown);
        let ids: BTreeSet<RemoteId> = named.map(|change| change.id.clone()).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<RemoteId> = ids.into_iter().collect();
        let read = parts.read_copies(system, entity, &ids).await?;
        self.reading.report.read += read.len() as u64;
        let found: BTreeMap<RemoteId, Change> =
            read.into_iter().map(|change| (change.id.clone(), change)).collect();
        for change in page.changes.iter_mut().filter(|change| change.shown == RemoteState::Unknown) {
            // A first read, which may lag, does not prove that a copy is gone; and one that failed proves nothing.
            let shows =
                |read: &&Change| !matches!(read.shown, RemoteState::Gone | RemoteState::Unread { .. });
            if let Some(read) = found.get(&change.id).filter(shows) {
                *change = read.clone();
            }
        }
        let key = |remote_id| CopyKey { system: system.clone(), entity: entity.clone(), remote_id };
        Ok(ids.into_iter().map(key).collect())
    }

    async fn page_taken(
        &self,
        following: &mut Following<'_>,
        ingested: Ingested,
    ) -> Result<Next, EngineError> {
        if ingested.moved && !following.is_ending {
            // Another worker has read on. The pages under way began elsewhere, so they are discarded.
            following.under_way.clear();
            let source = following.source;
            let stored = source.parts.store.cursor(&self.name).await?;
            let Some(at) = stored.and_then(Position::into_cursor) else { return Ok(Next::Stop) };
            *following = Following::from(source, at);
        } else {
            following.let_next_go();
        }
        Ok(Next::GoOn)
    }
}

impl<'a> Following<'a> {
    fn from(source: Source<'a>, at: Cursor) -> Self {
        Self {
            source,
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

    /// Begins whatever may begin now.
    fn go_on(&mut self, abreast: usize) {
        let has_room = self.taking.len() < abreast;
        if let Some(batch) = self.come.take() {
            match has_room && !self.meets(&batch) {
                true => self.begin(batch),
                false => self.come = Some(batch),
            }
        }
        let may_ask = abreast > 1 || self.taking.is_empty();
        if may_ask && !self.is_asking && !self.is_at_end && self.come.is_none() {
            self.is_asking = true;
            self.under_way.push(Box::pin(ask(self.source, self.at.clone())));
        }
    }

    /// Begins to take a page in. It is committed after those before it.
    fn begin(&mut self, batch: Batch) {
        let copies = batch.items.iter().map(|(_, change)| change.id.clone()).collect();
        self.taken += 1;
        let (parts, number) = (self.source.parts, self.taken);
        let (go, taken): (_, BoxFuture<'a, News>) = if self.taking.is_empty() {
            (None, Box::pin(async move { News::Taken(number, ingest(parts, &batch).await) }))
        } else {
            let (go, may_go) = oneshot::channel();
            let taken = async move { News::Taken(number, ingest_after(parts, &batch, may_go).await) };
            (Some(go), Box::pin(taken))
        };
        self.taking.push_back(Taking { number, copies, go });
        self.under_way.push(taken);
    }

    /// Whether a page shows a copy that one under way shows as well. It would be decided on a state that is about to
    /// change.
    fn meets(&self, batch: &Batch) -> bool {
        let is_taken = |id: &RemoteId| self.taking.iter().any(|taking| taking.copies.contains(id));
        batch.items.iter().any(|(_, change)| is_taken(&change.id))
    }

    /// Ends the following: nothing more is asked for or begun. A page that is being committed is finished; the pages
    /// that wait for it are discarded.
    fn end(&mut self, error: Option<EngineError>) {
        self.is_ending = true;
        self.is_at_end = true;
        self.come = None;
        self.failed = self.failed.take().or(error);
        self.taking.iter_mut().for_each(|taking| taking.go = None);
    }

    fn let_next_go(&mut self) {
        if let Some(go) = self.taking.front_mut().and_then(|next| next.go.take()) {
            // A page that does not wait any more was dropped.
            let _ = go.send(());
        }
    }
}

async fn ask(source: Source<'_>, at: Cursor) -> News {
    let asked_at = source.parts.clock.now();
    let most = source.parts.settings.batch_records_max;
    News::Page(asked_at, source.page(source.connector.changes(source.entity, &at, most)).await)
}

/// Turns contents that may be older than what a read has shown into the mere news that the copy has changed.
fn demote(page: &mut Page) {
    for change in &mut page.changes {
        let has_contents = matches!(change.shown, RemoteState::Present(_) | RemoteState::Gone);
        if has_contents && may_be_late(change) {
            *change = Change::bare(change.id.clone(), RemoteState::Unknown);
        }
    }
}
