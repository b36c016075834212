//! `avowal run`: the daemon. Stops cleanly on SIGTERM and Ctrl-C.

use crate::beside;
use crate::compose::{self, EngineInbox};
use crate::conduct::Conduct;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::watch::Watch;
use avowal_engine::Engine;
use avowal_engine::ports::store::RunKind;
use avowal_server::listen;
use avowal_server::webhook::router;
#[cfg(unix)]
use avowal_server::{api, socket};
use avowal_view::Desk;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Follows all systems, and listens for webhooks where a system sends them, until a signal comes.
pub async fn run(config: &Config, output: &Output) -> Result<Exit, Failure> {
    let why = "a SQLite store has one worker, and commands work beside it";
    let store = beside::alone(config, output, why).await?;
    let conduct = Conduct { config, kind: RunKind::Run, by: super::person(None) };
    conduct.at_desk(store, async move |desk| serve(config, desk, output).await).await
}

/// The service, until a signal comes.
async fn serve(config: &Config, desk: Arc<Desk>, output: &Output) -> Result<Exit, Failure> {
    let engine = desk.engine().clone();
    let (stop, stopped) = watch::channel(false);
    let listener = listen(config, &engine, stopped.clone(), output).await?;
    let local = listen_locally(config, desk, stopped.clone(), output);
    output.remark("Running. SIGTERM or Ctrl-C stops it.");
    let signal = tokio::spawn(async move {
        wait_for_signal().await;
        // Nobody left to tell means that the engine has ended by itself.
        let _ = stop.send(true);
    });
    let progress = Arc::new(Watch::new());
    let ended = engine.clone().run(stopped, progress.clone()).await;
    progress.finish();
    signal.abort();
    for listener in listener.into_iter().chain(local) {
        // It finishes the requests under way, within its own bound; an engine that failed has no use for them.
        match &ended {
            Ok(()) => drop(listener.await),
            Err(_) => listener.abort(),
        }
    }
    ended?;
    output.remark("Stopped.");
    Ok(Exit::Done)
}

async fn listen(
    config: &Config,
    engine: &Arc<Engine>,
    stopped: watch::Receiver<bool>,
    output: &Output,
) -> Result<Option<JoinHandle<()>>, Failure> {
    let Some(address) = config.listen else { return Ok(None) };
    let endpoints = compose::endpoints(config);
    let socket =
        listen::bind(address, &endpoints).await.map_err(|error| Failure::failed(error.to_string()))?;
    let address = socket.local_addr().unwrap_or(address);
    for endpoint in &endpoints {
        output.remark(format!(
            "Taking webhooks of {} at http://{address}/webhooks/{}",
            endpoint.system, endpoint.system
        ));
    }
    let router = router(endpoints, Arc::new(EngineInbox(engine.clone())), compose::listener_time());
    Ok(Some(tokio::spawn(listen::serve(socket, router, listen::CONNECTIONS_MAX, ordered(stopped)))))
}

/// Answers people beside the daemon, on a socket that only this user may open. A daemon that can have none works all the
/// same, and says so.
#[cfg(unix)]
fn listen_locally(
    config: &Config,
    desk: Arc<Desk>,
    stopped: watch::Receiver<bool>,
    output: &Output,
) -> Option<JoinHandle<()>> {
    match socket::bind(&config.socket) {
        Ok(socket) => {
            output.remark(format!("Answering other commands at {}", config.socket.display()));
            let router = api::router(desk);
            Some(tokio::spawn(listen::serve(socket, router, socket::CONNECTIONS_MAX, ordered(stopped))))
        }
        Err(error) => {
            output.remark(format!("Commands that decide something cannot ask this process: {error}."));
            None
        }
    }
}

#[cfg(not(unix))]
fn listen_locally(_: &Config, _: Arc<Desk>, _: watch::Receiver<bool>, _: &Output) -> Option<JoinHandle<()>> {
    None
}

/// Resolves at the order to stop.
async fn ordered(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is an order to stop too.
    let _ = stopped.wait_for(|stop| *stop).await;
}

#[cfg(unix)]
async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be caught; Ctrl-C still stops cleanly");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = terminate => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(not(unix))]
async fn wait_for_signal() {
    let _ = tokio::signal::ctrl_c().await;
}
