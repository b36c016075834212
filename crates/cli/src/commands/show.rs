//! `avowal show`: one record, what is believed, and what stands in each system.

use crate::arguments::RecordArguments;
use crate::compose;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use avowal_view::Reader;

/// Prints the record.
pub async fn run(config: &Config, arguments: &RecordArguments, output: &Output) -> Result<Exit, Failure> {
    let store = compose::open_to_read(config).await?;
    let remark = |text: String| output.remark(text);
    let reader = Reader { store: store.as_ref(), policies: &config.policies, remark: &remark };
    let view = reader.record(&arguments.entity, &arguments.key).await?;
    if output.is_json() {
        output.json(&view)?;
    } else {
        output.line(view.to_string());
    }
    Ok(Exit::Done)
}
