//! The demo CRM as a process of its own. See [`avowal_testkit::crm`] for what it serves.

use avowal_testkit::crm::{Crm, CrmOptions, Target};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: avowal-demo-crm [--port N] [--token T] [--webhook-url URL] [--webhook-secret whsec_…] \
                     [--stop-with-stdin]";

#[tokio::main]
async fn main() -> ExitCode {
    let (options, stop_with_stdin) = match arguments(std::env::args().skip(1)) {
        Ok(parsed) => parsed,
        Err(problem) => {
            eprintln!("avowal-demo-crm: {problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(options, stop_with_stdin).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("avowal-demo-crm: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: CrmOptions, stop_with_stdin: bool) -> std::io::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let crm = Crm::start_with(options).await?;
    println!("listening on {}", crm.url());
    tokio::select! {
        _ = terminated.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
        () = stdin_closed(), if stop_with_stdin => {}
    }
    crm.stop().await;
    // A thread that still reads standard input must not keep the process alive.
    std::process::exit(0)
}

/// Resolves when whoever started us has gone.
async fn stdin_closed() {
    let read = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    let _ = read.await;
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<(CrmOptions, bool), String> {
    let mut options = CrmOptions::default();
    let (mut url, mut secret, mut stop_with_stdin) = (None, None, false);
    while let Some(name) = given.next() {
        let mut value = || given.next().ok_or_else(|| format!("{name} needs a value"));
        match name.as_str() {
            "--port" => options.port = value()?.parse().map_err(|_| "--port needs a number".to_owned())?,
            "--token" => options.token = Some(value()?),
            "--webhook-url" => url = Some(value()?),
            "--webhook-secret" => secret = Some(value()?),
            "--stop-with-stdin" => stop_with_stdin = true,
            _ => return Err(format!("unknown argument {name}")),
        }
    }
    options.webhook = url.map(|url| Target { url, secret });
    Ok((options, stop_with_stdin))
}
