//! `avowal review`: the questions that wait for a person, and their answers.

use crate::arguments::{AnswerArguments, ResolveArguments, ReviewCommand};
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{Mark, Output};
use crate::{beside, compose};
use avowal_core::Value;
use avowal_core::explain::{review_words, short_text, short_value};
use avowal_core::record::{Side, Subject};
use avowal_view::{Answer, AnswerRequest, OpenReview, Reader, ReviewView};

/// Runs the sub-command.
pub async fn run(config: &Config, command: &ReviewCommand, output: &Output) -> Result<Exit, Failure> {
    match command {
        ReviewCommand::List => list(config, output).await,
        ReviewCommand::Show { id } => show(config, id, output).await,
        ReviewCommand::Resolve(arguments) => resolve(config, arguments, output).await,
    }
}

async fn list(config: &Config, output: &Output) -> Result<Exit, Failure> {
    let store = compose::open_to_read(config).await?;
    let remark = |text: String| output.remark(text);
    let reader = Reader { store: store.as_ref(), policies: &config.policies, remark: &remark };
    let reviews = reader.reviews().await?;
    if output.is_json() {
        output.json(&reviews)?;
        return Ok(Exit::Done);
    }
    if reviews.is_empty() {
        output.line("No question waits for a person.");
    }
    for open in &reviews {
        output.line(line(open, output));
    }
    Ok(Exit::Done)
}

async fn show(config: &Config, id: &str, output: &Output) -> Result<Exit, Failure> {
    let store = compose::open_to_read(config).await?;
    let remark = |text: String| output.remark(text);
    let reader = Reader { store: store.as_ref(), policies: &config.policies, remark: &remark };
    let view = reader.review(id).await?;
    if output.is_json() {
        output.json(&view)?;
        return Ok(Exit::Done);
    }
    let open = &view.open;
    output.line(line(open, output));
    output.line(format!("Opened at {}.", open.review.opened_at));
    if let Some(side) = &open.review.believed {
        output.line(format!("Believed: {}", side_words(side)));
    }
    for (system, side) in &open.review.proposed {
        output.line(format!("{system} shows: {}", side_words(side)));
    }
    if let Some(rule) = &view.rule {
        output.line(format!("Rule: {rule}"));
    }
    output.line(format!("Answer with `avowal review resolve {id}` and one of {}.", answers(&view)));
    Ok(Exit::Done)
}

async fn resolve(config: &Config, arguments: &ResolveArguments, output: &Output) -> Result<Exit, Failure> {
    let decider = beside::decider(config, output).await?;
    let request = AnswerRequest {
        answer: answer(&arguments.answer),
        by: super::person(arguments.by.as_deref()),
        note: arguments.note.clone(),
    };
    let resolved = decider.decide.resolve(&arguments.id, &request).await?;
    if let Some(remark) = &resolved.remark {
        output.remark(remark);
    }
    if output.is_json() {
        output.json(&resolved)?;
        return Ok(Exit::Done);
    }
    let who = if decider.is_daemon { "The running daemon" } else { "The next `avowal sync`" };
    output.line(format!("{} decided by {}. {who} carries it out.", resolved.review, resolved.by));
    Ok(Exit::Done)
}

fn answer(arguments: &AnswerArguments) -> Answer {
    if let Some(system) = &arguments.take {
        return Answer::Take(system.as_str().into());
    }
    if let Some(text) = &arguments.set {
        return Answer::Set(Value::text(text));
    }
    // clap lets exactly one of the five through.
    match (arguments.delete, arguments.restore) {
        (true, _) => Answer::Delete,
        (_, true) => Answer::Restore,
        (false, false) => Answer::Keep,
    }
}

fn answers(view: &ReviewView) -> String {
    if view.open.subject == Subject::Existence {
        let keep = if view.is_deleted { "keeps it deleted" } else { "keeps the record" };
        return format!("--delete, --restore, --keep ({keep})");
    }
    let mut answers: Vec<String> = view.may_take.iter().map(|system| format!("--take {system}")).collect();
    answers.extend(["--keep".to_owned(), "--set VALUE".to_owned()]);
    answers.join(", ")
}

fn line(open: &OpenReview, output: &Output) -> String {
    let subject = match &open.subject {
        Subject::Existence => "the existence",
        Subject::Field(field) => field.as_str(),
    };
    let reason = pieces(&review_words(&open.review.reason, &open.subject));
    let id = output.mark(Mark::Strong, &open.review.id);
    format!("{id}: {subject} of {} {}: {reason}", open.entity, open.record)
}

fn side_words(side: &Side) -> String {
    format!("{} ({}, having seen {})", short_value(&side.value), side.dot, side.vector)
}

/// A reason on one line. It may repeat foreign words.
fn pieces(reason: &str) -> String {
    let chars: Vec<char> = reason.chars().take(600).collect();
    chars.chunks(60).map(|piece| short_text(&piece.iter().collect::<String>())).collect()
}
