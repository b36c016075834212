//! `avowal init`: a commented configuration to begin with.

use crate::failure::{Exit, Failure};
use crate::output::Output;
use std::io::Write as _;
use std::path::Path;

/// What is written. `avowal check --offline` accepts it as it is.
const TEMPLATE: &str = include_str!("init.toml");

/// Writes the template; never over an existing file.
pub fn run(path: &Path, output: &Output) -> Result<Exit, Failure> {
    let place = path.display();
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => Failure::usage(format!(
                "{place} exists already. Remove it first, or name another file with `-c FILE`"
            )),
            _ => Failure::failed(format!("{place} cannot be written: {error}")),
        }
    })?;
    file.write_all(TEMPLATE.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|error| Failure::failed(format!("{place} cannot be written: {error}")))?;
    if output.is_json() {
        output.json(&serde_json::json!({ "written": path }))?;
    } else {
        output.line(format!("Wrote {place}. Put your systems and fields into it, then run `avowal check`."));
    }
    Ok(Exit::Done)
}
