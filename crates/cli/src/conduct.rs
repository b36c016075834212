//! Work that makes events is done in a run: begun before it, and ended with how it ended.

use crate::clock::now;
use crate::compose;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use avowal_engine::Engine;
use avowal_engine::ports::store::{NewRun, RunEnd, RunKind, Store};
use avowal_view::Desk;
use std::sync::Arc;

/// The longest text of a command line that is kept, in characters.
const WHY_CHARS_MAX: usize = 300;

/// What kind of run it is, and on whose word.
pub struct Conduct<'a> {
    /// The configuration under which it works.
    pub config: &'a Config,
    /// What kind of work it does.
    pub kind: RunKind,
    /// Who asks for it.
    pub by: String,
}

impl Conduct<'_> {
    /// Does the work with an engine whose events name the run. A process that is killed leaves a run without an end.
    pub async fn work(
        self,
        store: Arc<dyn Store>,
        work: impl AsyncFnOnce(Arc<Engine>) -> Result<Exit, Failure>,
    ) -> Result<Exit, Failure> {
        self.at_desk(store, async move |desk| work(desk.engine().clone()).await).await
    }

    /// As [`Self::work`], at a desk over the engine.
    pub async fn at_desk(
        self,
        store: Arc<dyn Store>,
        work: impl AsyncFnOnce(Arc<Desk>) -> Result<Exit, Failure>,
    ) -> Result<Exit, Failure> {
        let run = store.begin_run(&self.new_run()).await?;
        let desk = Arc::new(compose::desk(self.config, store, Some(run)).await?);
        let engine = desk.engine().clone();
        let ended = work(desk).await;
        let end = match &ended {
            Ok(exit) => of_exit(*exit),
            Err(failure) => of_exit(failure.exit()),
        };
        match engine.end_run(end).await {
            Ok(()) => ended,
            // What went wrong first is told.
            Err(error) => ended.and(Err(error.into())),
        }
    }

    fn new_run(&self) -> NewRun {
        NewRun {
            kind: self.kind,
            by: self.by.clone(),
            why: command_line(),
            configuration: self.config.digest.clone(),
            began_at: now(),
        }
    }
}

/// How a run ended whose command ends like this.
fn of_exit(exit: Exit) -> RunEnd {
    match exit {
        Exit::Done => RunEnd::Done,
        Exit::Waiting => RunEnd::Waiting,
        Exit::Held => RunEnd::Held,
        Exit::Failed | Exit::Usage | Exit::Refused => RunEnd::Failed,
    }
}

/// The words of the command line.
fn command_line() -> String {
    let arguments = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let words: Vec<String> = std::iter::once("avowal".to_owned()).chain(arguments).collect();
    words.join(" ").chars().take(WHY_CHARS_MAX).collect()
}
