//! `avowal why`: why a field holds what it holds.

use crate::arguments::WhyArguments;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::{compose, undelivered};
use avowal_view::Reader;

/// Prints the story of the belief.
pub async fn run(config: &Config, arguments: &WhyArguments, output: &Output) -> Result<Exit, Failure> {
    let store = compose::open_to_read(config).await?;
    let remark = |text: String| output.remark(text);
    let reader = Reader { store: store.as_ref(), policies: &config.policies, remark: &remark };
    let view = reader.why(&arguments.record.entity, &arguments.record.key, &arguments.field).await?;
    if output.is_json() {
        output.json(&view.answer)?;
        return Ok(Exit::Done);
    }
    output.line(&view.story);
    for waiting in &view.waiting {
        output.line(format!("{}: {}", waiting.system, undelivered::tries(waiting)));
    }
    Ok(Exit::Done)
}
