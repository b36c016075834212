//! `avowal schema`: the JSON Schema of the configuration, for editors and for the reference in the guide.

use crate::config;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Prints the schema. It is JSON with and without `--json`.
pub fn run(output: &Output) -> Result<Exit, Failure> {
    output.json(&config::schema())?;
    Ok(Exit::Done)
}
