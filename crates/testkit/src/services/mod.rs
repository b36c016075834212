//! Third-party services for tests, each a private process on a free port of 127.0.0.1: real ones, which nobody here has
//! written. `scripts/services.sh` installs them into `target/tools`.
//!
//! PocketBase is older than this folder and stands in `pocketbase.rs`.

pub mod caller;
pub mod kinto;
pub mod localstripe;
mod server;

use std::io;
use std::path::{Path, PathBuf};

/// A program that `scripts/services.sh` has installed.
fn installed(program: &str) -> io::Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools").join(program);
    if path.is_file() {
        return path.canonicalize();
    }
    let words = format!("target/tools/{program} is not there; run scripts/services.sh");
    Err(io::Error::new(io::ErrorKind::NotFound, words))
}
