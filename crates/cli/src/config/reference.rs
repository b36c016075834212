//! `env:NAME` and `file:PATH`: texts that stand elsewhere, so that a configuration holds no secret.

use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The largest file that a reference may name, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A problem and its cure.
pub type Lack = (String, String);

/// Fetches referenced texts.
pub struct References {
    folder: PathBuf,
}

impl References {
    /// Paths are relative to `folder`, that of the configuration.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The text that is meant; `None` if `text` is no reference.
    pub fn fetch(&self, text: &str) -> Option<Result<String, Lack>> {
        if let Some(name) = text.strip_prefix("env:") {
            return Some(fetch_variable(name));
        }
        text.strip_prefix("file:").map(|path| fetch_file(&self.folder.join(path)))
    }
}

fn fetch_variable(name: &str) -> Result<String, Lack> {
    match std::env::var(name) {
        Ok(value) => Ok(value),
        Err(std::env::VarError::NotPresent) => Err((
            format!("the environment variable {name:?} is not set"),
            format!("Set it before avowal starts, for example with `export {name}=…`"),
        )),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err((format!("the environment variable {name:?} is not UTF-8"), "Set it to a text".to_owned()))
        }
    }
}

fn fetch_file(path: &Path) -> Result<String, Lack> {
    let place = path.display();
    let unreadable = |why: String| {
        (format!("the file {place} cannot be read: {why}"), "Create it, or correct the path".to_owned())
    };
    let file = std::fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut text = String::new();
    // One byte more than allowed tells a file that is too large from one that just fits.
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| unreadable(error.to_string()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err((
            format!("the file {place} is larger than {FILE_BYTES_MAX} bytes"),
            "Correct the path".to_owned(),
        ));
    }
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
