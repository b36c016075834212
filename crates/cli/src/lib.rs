//! Every command of `avowal`, for a `main` that brings its own resolvers and validators.
//!
//! ```no_run
//! use avowal::{DomainResolution, DomainResolver, FieldConflict};
//!
//! /// The larger discount was promised to somebody.
//! struct LargerDiscount;
//!
//! impl DomainResolver for LargerDiscount {
//!     fn name(&self) -> &str {
//!         "larger_discount"
//!     }
//!     fn version(&self) -> u32 {
//!         1
//!     }
//!     fn resolve(&self, conflict: &FieldConflict<'_>) -> DomainResolution {
//!         if conflict.external.value > conflict.local.value { DomainResolution::External } else { DomainResolution::Local }
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     avowal::Cli::new().resolver(LargerDiscount).run()
//! }
//! ```

mod arguments;
mod beside;
mod clock;
mod commands;
mod compose;
mod conduct;
mod config;
mod connectors;
mod duration;
mod failure;
mod history;
mod output;
mod undelivered;
mod unopened;
mod watch;

pub use avowal_core::{
    ConflictSide, DomainResolution, DomainResolver, DomainValidator, FieldChange, FieldConflict, Value,
};

use arguments::Arguments;
use avowal_core::DomainRules;
use clap::Parser as _;
use failure::Failure;
use output::Output;
use std::ffi::OsString;
use std::process::ExitCode;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// The command line with what a program has registered.
///
/// A configuration may name every resolver and validator that is registered here, by `resolver = "NAME"` and
/// `validator = "NAME"` in a field. A name that is not registered is refused with its place and the cure.
#[derive(Debug, Default)]
pub struct Cli {
    domain: DomainRules,
}

impl Cli {
    /// The stock command: nothing is registered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a resolver under its name.
    #[must_use]
    pub fn resolver(mut self, resolver: impl DomainResolver + 'static) -> Self {
        self.domain = self.domain.resolver(resolver);
        self
    }

    /// Registers a validator under its name.
    #[must_use]
    pub fn validator(mut self, validator: impl DomainValidator + 'static) -> Self {
        self.domain = self.domain.validator(validator);
        self
    }

    /// Runs the command that the process's arguments name. Answers with the exit code.
    pub fn run(self) -> ExitCode {
        self.execute(&Arguments::parse())
    }

    /// Runs the command that these arguments name, without the program's own name. Answers with the exit code.
    pub fn run_with<T: Into<OsString> + Clone>(self, arguments: impl IntoIterator<Item = T>) -> ExitCode {
        let named = arguments.into_iter().map(Into::into);
        match Arguments::try_parse_from(std::iter::once(OsString::from("avowal")).chain(named)) {
            Ok(arguments) => self.execute(&arguments),
            Err(error) => {
                // It has nowhere else to go if neither stdout nor stderr can be written.
                let _ = error.print();
                ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
            }
        }
    }

    fn execute(&self, arguments: &Arguments) -> ExitCode {
        start_log();
        let output = Output::new(arguments.json);
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                return report(&output, &Failure::failed(format!("no thread can be started: {error}")));
            }
        };
        let code = match runtime.block_on(commands::run(arguments, &self.domain, &output)) {
            Ok(exit) => exit.code(),
            Err(failure) => report(&output, &failure),
        };
        // Whatever a task still waits for must not keep the process: everything durable has been committed.
        runtime.shutdown_timeout(std::time::Duration::from_secs(5));
        code
    }
}

fn report(output: &Output, failure: &Failure) -> ExitCode {
    output.failure(failure);
    failure.exit().code()
}

/// Logs go to stderr, so that stdout holds only what was asked for. A program that has started a log of its own keeps it.
fn start_log() {
    let wanted = std::env::var("AVOWAL_LOG").ok().and_then(|wanted| wanted.parse::<Targets>().ok());
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(output::stderr_has_colours());
    let filter = wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN));
    // A program that embeds the command may have a log of its own already.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}
