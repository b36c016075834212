//! `avowal show`: one record, what is believed, and what stands in each system.

use crate::arguments::RecordArguments;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::{compose, key};
use avowal_core::explain::record_view;

/// Prints the record.
pub async fn run(config: &Config, arguments: &RecordArguments, output: &Output) -> Result<Exit, Failure> {
    let policy = key::policy(config, &arguments.entity)?;
    let store = compose::open_to_read(config).await?;
    let record = key::find(store.as_ref(), policy, &arguments.key, output).await?;
    let view = record_view(policy, &record);
    if output.is_json() {
        output.json(&view)?;
    } else {
        output.line(view.to_string());
    }
    Ok(Exit::Done)
}
