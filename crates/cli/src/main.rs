//! The `avowal` command: reads its arguments, runs one command, answers with an exit code.

mod arguments;
mod clock;
mod commands;
mod compose;
mod config;
mod connectors;
mod failure;
mod history;
mod key;
mod output;
mod unopened;
mod watch;

use arguments::Arguments;
use clap::Parser as _;
use failure::Failure;
use output::Output;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Records are maps of small values that come and go on several threads: glibc's allocator took a quarter of all time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_log();
    let output = Output::new(arguments.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&output, &Failure::failed(format!("no thread can be started: {error}"))),
    };
    let code = match runtime.block_on(commands::run(&arguments, &output)) {
        Ok(exit) => exit.code(),
        Err(failure) => report(&output, &failure),
    };
    // Whatever a task still waits for must not keep the process: everything durable has been committed.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    code
}

fn report(output: &Output, failure: &Failure) -> ExitCode {
    output.failure(failure);
    failure.exit().code()
}

/// Logs go to stderr, so that stdout holds only what was asked for.
fn start_log() {
    let filter = EnvFilter::try_from_env("AVOWAL_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(output::stderr_has_colours())
        .init();
}
