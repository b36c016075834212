//! `avowal review`: the questions that wait for a person, and their answers.

use crate::arguments::{AnswerArguments, ResolveArguments, ReviewCommand};
use crate::conduct::Conduct;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{Mark, Output};
use crate::{compose, key};
use avowal_core::data::ids::SystemName;
use avowal_core::explain::{field_sentence, review_words, short_text, short_value};
use avowal_core::history::ReviewAnswer;
use avowal_core::policy::{EntityPolicy, Owner};
use avowal_core::record::reason::ReviewReason;
use avowal_core::record::{Record, Side, Subject};
use avowal_engine::OPEN_ITEMS_MAX;
use avowal_engine::ports::store::{OpenReview, ReadOverview, RunKind, Store};

/// Runs the sub-command.
pub async fn run(config: &Config, command: &ReviewCommand, output: &Output) -> Result<Exit, Failure> {
    match command {
        ReviewCommand::List => list(config, output).await,
        ReviewCommand::Show { id } => show(config, id, output).await,
        ReviewCommand::Resolve(arguments) => resolve(config, arguments, output).await,
    }
}

async fn list(config: &Config, output: &Output) -> Result<Exit, Failure> {
    let reviews = compose::open_to_read(config).await?.open_reviews(OPEN_ITEMS_MAX).await?;
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
    let open = find(store.as_ref(), id).await?;
    if output.is_json() {
        output.json(&open)?;
        return Ok(Exit::Done);
    }
    output.line(line(&open, output));
    output.line(format!("Opened at {}.", open.review.opened_at));
    if let Some(side) = &open.review.believed {
        output.line(format!("Believed: {}", side_words(side)));
    }
    for (system, side) in &open.review.proposed {
        output.line(format!("{system} shows: {}", side_words(side)));
    }
    let policy = config.policies.get(&open.entity);
    let rule = policy.zip(open.subject.field()).and_then(|(policy, field)| field_sentence(policy, field));
    if let Some(rule) = rule {
        output.line(format!("Rule: {rule}"));
    }
    let record = record_of(store.as_ref(), &open).await?;
    let answers = answers(&open, record.as_ref(), policy.map(AsRef::as_ref));
    output.line(format!("Answer with `avowal review resolve {id}` and one of {answers}."));
    Ok(Exit::Done)
}

async fn resolve(config: &Config, arguments: &ResolveArguments, output: &Output) -> Result<Exit, Failure> {
    let store = compose::open_to_write(config).await?;
    let open = find(store.as_ref(), &arguments.id).await?;
    let answer = answer(config, &open, &arguments.answer)?;
    let answer = match (answer, &open.subject) {
        (ReviewAnswer::Keep, Subject::Existence) => keep(store.as_ref(), &open, output).await?,
        (answer, _) => answer,
    };
    let by = super::person(arguments.by.as_deref());
    let conduct = Conduct { config, kind: RunKind::Decision, by: by.clone() };
    conduct
        .work(store, async move |engine| {
            let record = engine.decide_review(&arguments.id, answer, &by, arguments.note.clone()).await?;
            if output.is_json() {
                output.json(&serde_json::json!({ "review": arguments.id, "record": record, "by": by }))?;
            } else {
                output.line(format!(
                    "{} decided by {by}. The next `avowal sync` carries it out.",
                    arguments.id
                ));
            }
            Ok(Exit::Done)
        })
        .await
}

async fn record_of(store: &dyn Store, open: &OpenReview) -> Result<Option<Record>, Failure> {
    Ok(store.load(std::slice::from_ref(&open.record)).await?.pop().flatten())
}

/// What `--keep` means where the record's existence is the question: as it is believed now.
async fn keep(store: &dyn Store, open: &OpenReview, output: &Output) -> Result<ReviewAnswer, Failure> {
    let is_deleted = record_of(store, open).await?.is_some_and(|record| record.deleted.is_some());
    let (words, answer) = match is_deleted {
        true => {
            ("the record counts as deleted, so it is kept deleted (as --delete says)", ReviewAnswer::Delete)
        }
        false => (
            "the record counts as existing, so the record is kept (as --restore says)",
            ReviewAnswer::Restore,
        ),
    };
    output.remark(format!("--keep: {words}"));
    Ok(answer)
}

/// The systems whose value may be taken: their copy exists and holds one that is understood, and they may change the
/// field, or the question is whether they may.
fn may_decide<'a>(
    open: &'a OpenReview,
    record: Option<&Record>,
    policy: Option<&EntityPolicy>,
) -> Vec<&'a SystemName> {
    let Some(field) = open.subject.field() else { return Vec::new() };
    let holds = |system: &SystemName| {
        let copy = record.and_then(|record| record.live_copy(system));
        copy.is_some_and(|copy| copy.fields.contains_key(field) && !copy.aside.contains_key(field))
    };
    let asks_for_it = matches!(open.review.reason, ReviewReason::Refused(_));
    let may = |system: &SystemName| {
        let rule = policy.and_then(|policy| policy.field(field));
        asks_for_it
            || rule.is_none_or(|rule| match &rule.owner {
                Owner::Shared => true,
                Owner::System(owner) => owner == system || rule.proposals.contains(system),
            })
    };
    open.review.proposed.keys().filter(|system| holds(system) && may(system)).collect()
}

async fn find(store: &dyn ReadOverview, id: &str) -> Result<OpenReview, Failure> {
    let open = store.open_reviews(OPEN_ITEMS_MAX).await?;
    open.into_iter().find(|open| open.review.id == id).ok_or_else(|| {
        let id = short_text(id);
        Failure::usage(format!("no open review is called {id:?}. `avowal review list` shows them"))
    })
}

fn answer(config: &Config, open: &OpenReview, arguments: &AnswerArguments) -> Result<ReviewAnswer, Failure> {
    if let Some(system) = &arguments.take {
        if !config.systems.contains_key(system.as_str()) {
            let known: Vec<&str> = open.review.proposed.keys().map(|name| name.as_str()).collect();
            let text = format!("no system is called {system:?}. Those that differ: {}", known.join(", "));
            return Err(Failure::usage(text));
        }
        return Ok(ReviewAnswer::Take { system: system.as_str().into() });
    }
    if let Some(text) = &arguments.set {
        let Some(field) = open.subject.field() else {
            return Err(Failure::usage(
                "the question is whether the record shall exist: use --delete or --restore",
            ));
        };
        let policy = key::policy(config, open.entity.as_str())?;
        return Ok(ReviewAnswer::Set { value: key::value_of(policy, field, text)? });
    }
    // clap lets exactly one of the five through.
    Ok(match (arguments.delete, arguments.restore) {
        (true, _) => ReviewAnswer::Delete,
        (_, true) => ReviewAnswer::Restore,
        (false, false) => ReviewAnswer::Keep,
    })
}

fn answers(open: &OpenReview, record: Option<&Record>, policy: Option<&EntityPolicy>) -> String {
    if open.subject == Subject::Existence {
        let is_deleted = record.is_some_and(|record| record.deleted.is_some());
        let keep = if is_deleted { "keeps it deleted" } else { "keeps the record" };
        return format!("--delete, --restore, --keep ({keep})");
    }
    let mut answers: Vec<String> =
        may_decide(open, record, policy).into_iter().map(|system| format!("--take {system}")).collect();
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
