//! Third-party services for tests, each a private process on a free port of 127.0.0.1: real ones, which nobody here has
//! written. `scripts/services.sh` installs them into `target/tools`.
//!
//! PocketBase is older than this folder and stands in `pocketbase.rs`.

pub mod caller;
pub mod directus;
pub mod kinto;
pub mod localstripe;
mod server;

use std::io;
use std::path::{Path, PathBuf};

/// A program that `scripts/services.sh` has installed.
fn installed(program: &str) -> io::Result<PathBuf> {
    // A virtual environment's Python is a link, and must be called by the link's name to know where it belongs.
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools").canonicalize();
    tools.map(|tools| tools.join(program)).ok().filter(|path| path.is_file()).ok_or_else(|| {
        let words = format!("target/tools/{program} is not there; run scripts/services.sh");
        io::Error::new(io::ErrorKind::NotFound, words)
    })
}
