//! A plan as lines for people: first what belongs together, then what would be written, then what waits.

use crate::output::{Mark, Output, all_counted, counted};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::explain::{short_text, short_value};
use avowal_engine::{EntityWrites, FieldWrites, MatchReport, Plan, SystemPlan};
use std::path::Path;

/// The most groups of duplicates that are shown; the file and `--json` hold them all.
const DUPLICATES_SHOWN: usize = 5;

/// Prints a plan.
pub(super) fn print(plan: &Plan, kept: Option<&Path>, output: &Output) {
    let heading = |text: String| output.line(output.mark(Mark::Strong, text));
    output.line("Nothing was written. This is what `avowal sync` would do now.");
    for (entity, matches) in &plan.entities {
        output.line("");
        heading(format!("{entity}: what belongs together"));
        print_matches(matches, output);
    }
    for (name, system) in &plan.systems {
        output.line("");
        heading(format!("{name}: what would be written"));
        print_system(name, system, output);
    }
    print_waiting(plan, output);
    output.line("");
    heading("What this plan cannot know".to_owned());
    plan.not_predicted.iter().for_each(|said| output.line(format!("  {said}")));
    output.line("");
    print_end(plan, kept, output);
}

fn print_matches(matches: &MatchReport, output: &Output) {
    for linked in &matches.linked {
        let systems = linked.systems.iter().map(SystemName::as_str).collect::<Vec<_>>().join(" and ");
        let records = counted(linked.records, "record is", "records are");
        output.line(match &linked.key {
            Some(key) => format!("  {records} in {systems}, recognised by {key}"),
            None => format!("  {records} in {systems}, linked earlier; no key is the same in both any more"),
        });
    }
    if matches.linked.is_empty() {
        output.line("  no record is in more than one system yet");
    }
    for (system, counts) in &matches.systems {
        let mut line = format!("  {system}: {}", counted(counts.copies, "copy", "copies"));
        if counts.unmatched > 0 {
            line.push_str(&format!(", {} that no other system has", counts.unmatched));
        }
        if counts.without_key > 0 {
            line.push_str(&format!(", {} without a key", counts.without_key));
        }
        output.line(line);
    }
    if matches.duplicate_keys > 0 {
        let keys = counted(matches.duplicate_keys, "key stands", "keys stand");
        output.line(format!("  {keys} in several rows of one system; only the first row is linked:"));
    }
    for found in matches.duplicates.iter().take(DUPLICATES_SHOWN) {
        let ids = found.ids.iter().map(|id| short_text(id.as_str())).collect::<Vec<_>>().join(", ");
        output.line(format!("    {}: {} in rows {ids}", found.system, short_text(&found.key)));
    }
    if matches.duplicate_keys > DUPLICATES_SHOWN as u64 {
        output.line("    … `--json` and `--out` hold more of them");
    }
}

fn print_system(name: &SystemName, system: &SystemPlan, output: &Output) {
    if let Some(problem) = &system.problem {
        output.line(format!("  {}: {problem}", output.mark(Mark::Bad, "not read")));
    }
    let written: Vec<_> = system.entities.iter().filter(|(_, writes)| !writes.is_empty()).collect();
    if written.is_empty() {
        output.line("  nothing");
    }
    for (entity, writes) in written {
        print_entity(entity, writes, output);
    }
    if system.under_way > 0 {
        let writes = counted(system.under_way, "write", "writes");
        output.line(format!("  {writes} of an earlier run: how it ended is found out first"));
    }
    for held in &system.held {
        output.line(format!("  {}: {held}", output.mark(Mark::Warn, "a guard would hold this")));
    }
    for stop in &system.stops {
        output.line(format!("  {}: {stop}", output.mark(Mark::Warn, "held by a stop")));
    }
    if system.asks_first {
        output.line(format!(
            "  {name} holds records and was never written to, so `avowal sync` asks before it writes there"
        ));
    }
    print_calls(system, output);
}

fn print_calls(system: &SystemPlan, output: &Output) {
    let made = &system.calls.made;
    let calls = [
        (made.list_pages, "page listed", "pages listed"),
        (made.feed_pages, "page of changes", "pages of changes"),
        (made.copies_read, "copy read by its id", "copies read by their ids"),
        (made.searches, "search", "searches"),
        (system.calls.to_write, "call or more to write", "calls or more to write"),
    ];
    let mut line = format!("  calls: {}", all_counted(&calls, "none"));
    if let (Some(rate), Some(seconds)) = (system.calls.writes_per_second, system.calls.seconds_at_least) {
        line.push_str(&format!("; at {rate} writes a second that takes {} or more", duration(seconds)));
    }
    output.line(line);
}

fn print_entity(entity: &EntityName, writes: &EntityWrites, output: &Output) {
    let writes_counted = [
        (writes.creates, "create", "creates"),
        (writes.updates, "update", "updates"),
        (writes.deletes, "delete", "deletes"),
        (writes.reviews, "question for a person", "questions for a person"),
        (writes.refused_before, "write that it refused before", "writes that it refused before"),
    ];
    output.line(format!("  {entity}: {}", all_counted(&writes_counted, "no write")));
    let examples = |kind: &str, examples: &[String]| {
        if !examples.is_empty() {
            let names: Vec<String> = examples.iter().map(|name| short_text(name)).collect();
            output.line(format!("    {kind}, for example: {}", names.join("; ")));
        }
    };
    examples("made from", &writes.create_examples);
    examples("deleted", &writes.delete_examples);
    for (field, of_field) in &writes.fields {
        if let Some(words) = field_words(of_field) {
            output.line(format!("    {field}: {words}"));
        }
        for example in &of_field.examples {
            let (before, after) = (short_value(&example.before), short_value(&example.after));
            output.line(format!("      {}: {before} → {after}", short_text(&example.record)));
        }
    }
}

/// What would become of a field; `None` where it is only part of creates.
fn field_words(field: &FieldWrites) -> Option<String> {
    let mut parts = Vec::new();
    let mut say = |count: u64, words: String| {
        if count > 0 {
            parts.push(format!("{count} {words}"));
        }
    };
    let spelled = match field.spelling_only {
        0 => String::new(),
        all if all == field.replaced => " (only spelled otherwise)".to_owned(),
        some => format!(" ({some} of them only spelled otherwise)"),
    };
    say(field.replaced, format!("replaced{spelled}"));
    say(field.filled, "filled in".to_owned());
    say(field.emptied, "emptied".to_owned());
    say(field.reviews, "for a person to decide".to_owned());
    say(field.not_understood, "not understood and left alone".to_owned());
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn print_waiting(plan: &Plan, output: &Output) {
    if plan.questions_open == 0 && plan.set_aside.is_empty() {
        return;
    }
    output.line("");
    output.line(output.mark(Mark::Strong, "What would wait for a person"));
    if plan.questions_open > 0 {
        output.line(format!("  {}", counted(plan.questions_open, "question", "questions")));
    }
    for question in &plan.questions {
        let shown =
            question.shown.iter().map(|(system, value)| format!("{system} shows {}", short_value(value)));
        let shown = shown.collect::<Vec<_>>().join(", ");
        output.line(format!(
            "    {} {}, {}: {}. Believed is {}; {shown}",
            question.entity,
            short_text(&question.record),
            question.about,
            question.why,
            short_value(&question.believed)
        ));
    }
    for aside in &plan.set_aside {
        let what = if aside.came_in { "set aside from" } else { "refused by" };
        let examples = aside.examples.iter().map(|name| short_text(name)).collect::<Vec<_>>().join(", ");
        let count = aside.count;
        output.line(format!(
            "  {count} {} {what} {}: {} ({examples})",
            aside.entity, aside.system, aside.cause
        ));
    }
}

fn print_end(plan: &Plan, kept: Option<&Path>, output: &Output) {
    let writes = counted(plan.writes_planned(), "write is", "writes are");
    let seconds = plan.took_ms / 1_000;
    let took = if seconds > 0 {
        format!(" Reading and deciding took {}.", duration(seconds))
    } else {
        String::new()
    };
    output.line(format!("{writes} planned.{took}"));
    match kept {
        Some(path) => {
            let place = path.display();
            output.line(format!("The plan is in {place}, with values of your records. `avowal sync --plan {place}`"));
            output.line("does this and nothing else; records that have moved on by then are held and named.");
        }
        None => output.line(
            "`avowal plan --out FILE` keeps the plan, and `avowal sync --plan FILE` then does this and nothing else.",
        ),
    }
}

/// A time as people say it.
fn duration(seconds: u64) -> String {
    match seconds {
        0 => "less than a second".to_owned(),
        1..=119 => counted(seconds, "second", "seconds"),
        120..=7_199 => format!("{} minutes", seconds / 60),
        _ => format!("{} hours", seconds / 3_600),
    }
}
