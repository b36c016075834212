//! The `avowal` command, without any resolver or validator of its own.

use std::process::ExitCode;

/// Records are maps of small values that come and go on several threads: glibc's allocator took a quarter of all time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    avowal::Cli::new().run()
}
