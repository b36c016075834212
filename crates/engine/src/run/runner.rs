//! Runs the daemon: one task a system and a few for what is done now and then. The only place that spawns.

use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::parts::progress::Progress;
use crate::run::attend::Attendant;
use crate::run::housekeeping::{keep_house, show_life};
use crate::run::prepare::prepare;
use crate::run::scheduled::reconcile_now_and_then;
use std::sync::Arc;
use tokio::sync::watch;

/// Runs until `stop` says so. What is under way when it stops is finished first.
pub(crate) async fn run(
    parts: &Arc<Parts>,
    mut stop: watch::Receiver<bool>,
    progress: Arc<dyn Progress>,
) -> Result<(), EngineError> {
    prepare(parts).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for system in parts.systems.names() {
        let attendant = Attendant::new(parts.clone(), system.clone(), progress.clone());
        tasks.spawn(attendant.until_stopped(stop.clone()));
    }
    let (house, stopped) = (parts.clone(), stop.clone());
    tasks.spawn(async move { keep_house(&house, stopped).await });
    let (alive, stopped) = (parts.clone(), stop.clone());
    tasks.spawn(async move { show_life(&alive, stopped).await });
    if let Some(schedule) = parts.settings.reconcile.clone() {
        let (parts, stopped, progress) = (parts.clone(), stop.clone(), progress.clone());
        tasks.spawn(async move { reconcile_now_and_then(&parts, &schedule, stopped, &*progress).await });
    }
    let mut first_error = None;
    loop {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                None => break,
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => { first_error.get_or_insert(error); tasks.shutdown().await; break }
                Some(Err(error)) => {
                    let text = format!("a task ended unexpectedly: {error}");
                    first_error.get_or_insert(EngineError::Usage(text));
                }
            },
            changed = stop.changed(), if !parts.ending.has_begun() => {
                parts.ending.begin();
                if changed.is_err() { break }
            }
        }
    }
    parts.ending.is_over();
    first_error.map_or(Ok(()), Err)
}
