//! `avowal timeline`: the history of one record, one line for each event.

use crate::arguments::TimelineArguments;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{Mark, Output};
use crate::{compose, key};
use avowal_core::explain::{event_line, event_origin};
use avowal_core::history::IntegrationEvent;

/// How many events are read at once.
const PAGE_EVENTS: usize = 1000;

/// Prints the events page by page, so that no history is too long. JSON is an array of events in wire form v1.
pub async fn run(config: &Config, arguments: &TimelineArguments, output: &Output) -> Result<Exit, Failure> {
    let policy = key::policy(config, &arguments.record.entity)?;
    let store = compose::open_to_read(config).await?;
    let record = key::find(store.as_ref(), policy, &arguments.record.key, output).await?;
    let mut printer = Printer { output, full: arguments.full, day: String::new(), first: true };
    printer.begin();
    let mut from_seq = arguments.last.map_or(1, |last| record.seq.saturating_sub(last) + 1);
    loop {
        let page = store.events(&record.id, from_seq, PAGE_EVENTS).await?;
        let Some(last) = page.last() else { break };
        from_seq = last.seq + 1;
        page.iter().try_for_each(|event| printer.event(event))?;
    }
    printer.end();
    Ok(Exit::Done)
}

struct Printer<'a> {
    output: &'a Output,
    full: bool,
    day: String,
    first: bool,
}

impl Printer<'_> {
    fn begin(&self) {
        if self.output.is_json() {
            self.output.line("[");
        }
    }

    fn event(&mut self, event: &IntegrationEvent) -> Result<(), Failure> {
        if self.output.is_json() {
            let text = serde_json::to_string(event).map_err(|error| {
                Failure::failed(format!("event {} cannot be written as JSON: {error}", event.id()))
            })?;
            let comma = if self.first { " " } else { "," };
            self.output.line(format!("{comma}{text}"));
        } else {
            let day = event.recorded_at.day();
            if day != self.day {
                self.output.line(self.output.mark(Mark::Strong, &day));
                self.day = day;
            }
            let origin = if self.full { event_origin(event) } else { String::new() };
            self.output.line(format!("{}{origin}", event_line(event)));
        }
        self.first = false;
        Ok(())
    }

    fn end(&self) {
        if self.output.is_json() {
            self.output.line("]");
        }
    }
}
