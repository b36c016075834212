//! `avowal timeline`: the history of one record, one line for each event.

use crate::arguments::TimelineArguments;
use crate::compose;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{Mark, Output};
use avowal_core::explain::{event_line, event_origin};
use avowal_core::history::IntegrationEvent;
use avowal_view::Reader;

/// Prints the events page by page, so that no history is too long. JSON is an array of events in wire form v1.
pub async fn run(config: &Config, arguments: &TimelineArguments, output: &Output) -> Result<Exit, Failure> {
    let store = compose::open_to_read(config).await?;
    let remark = |text: String| output.remark(text);
    let reader = Reader { store: store.as_ref(), policies: &config.policies, remark: &remark };
    let (entity, key) = (&arguments.record.entity, &arguments.record.key);
    let (record, from) = reader.timeline_begin(entity, key, arguments.last).await?;
    let mut printer = Printer { output, full: arguments.full, day: String::new(), first: true };
    printer.begin();
    let mut next = Some(from);
    while let Some(from) = next {
        let page = reader.timeline(record.clone(), from, None).await?;
        page.events.iter().try_for_each(|event| printer.event(event))?;
        next = page.next;
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
