//! A plan as one page for a browser: a matrix of fields and systems, bars for each field, and what waits. The page needs
//! nothing from anywhere else.

use crate::output::counted;
use avowal_core::data::ids::{EntityName, FieldName, SystemName};
use avowal_core::explain::short_value;
use avowal_engine::{EntityWrites, FieldWrites, MatchReport, Plan};
use avowal_view::page::{Page, text};
use avowal_view::picture::{self, Part};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The most groups of duplicates on the page.
const DUPLICATES_SHOWN: usize = 100;

/// The page of a plan.
pub(super) fn page(plan: &Plan) -> String {
    let mut page = Page::new("Avowal plan", "What a sync would do");
    page.paragraph(&format!(
        "Made at {}. Nothing was written. {} in all.",
        plan.made_at,
        counted(plan.writes_planned(), "write", "writes")
    ));
    for (entity, matches) in &plan.entities {
        page.part(entity.as_str());
        matching(matches, &mut page);
        matrix(plan, entity, &mut page);
        for (name, system) in &plan.systems {
            if let Some(writes) = system.entities.get(entity).filter(|writes| !writes.is_empty()) {
                bars(name, writes, &mut page);
            }
        }
    }
    waiting(plan, &mut page);
    systems(plan, &mut page);
    page.part("What this plan cannot know");
    page.list(&plan.not_predicted);
    page.finish()
}

fn matching(matches: &MatchReport, page: &mut Page) {
    let linked = matches.linked.iter().map(|linked| {
        let systems = linked.systems.iter().map(SystemName::as_str).collect::<Vec<_>>().join(" and ");
        let how = match &linked.key {
            Some(key) => format!("recognised by {key}"),
            None => "linked earlier".to_owned(),
        };
        format!("{} in {systems}, {how}", counted(linked.records, "record", "records"))
    });
    let copies = matches.systems.iter().map(|(system, counts)| {
        format!(
            "{system}: {}, {} that no other system has, {} without a key",
            counted(counts.copies, "copy", "copies"),
            counts.unmatched,
            counts.without_key
        )
    });
    page.list(linked.chain(copies));
    if matches.duplicates.is_empty() {
        return;
    }
    page.smaller_part(&format!("Keys in several rows of one system: {}", matches.duplicate_keys));
    page.list(matches.duplicates.iter().take(DUPLICATES_SHOWN).map(|found| {
        let ids = found.ids.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
        format!("{}: {} in rows {ids}", found.system, found.key)
    }));
}

/// Which share of the copies in each system would keep each field as it is.
fn matrix(plan: &Plan, entity: &EntityName, page: &mut Page) {
    let of = |name: &SystemName| plan.systems.get(name).and_then(|system| system.entities.get(entity));
    let fields: BTreeSet<&FieldName> = plan
        .systems
        .keys()
        .filter_map(of)
        .flat_map(|writes| writes.fields.iter().filter(|(_, of)| of.changed() + of.reviews > 0))
        .map(|(field, _)| field)
        .collect();
    if fields.is_empty() {
        return;
    }
    page.smaller_part("Copies that agree already");
    let mut out = "<table><tr><th>field</th>".to_owned();
    plan.systems.keys().for_each(|name| {
        let _ = write!(out, "<th>{}</th>", text(name.as_str()));
    });
    out.push_str("</tr>");
    for field in fields {
        let _ = write!(out, "<tr><th>{}</th>", text(field.as_str()));
        for name in plan.systems.keys() {
            let copies =
                plan.entities.get(entity).and_then(|of| of.systems.get(name)).map_or(0, |of| of.copies);
            let differ = of(name)
                .and_then(|writes| writes.fields.get(field))
                .map_or(0, |of| of.changed() + of.reviews);
            cell(copies, differ, &mut out);
        }
        out.push_str("</tr>");
    }
    page.raw(out + "</table>");
}

fn cell(copies: u64, differ: u64, out: &mut String) {
    if copies == 0 {
        out.push_str("<td class=\"none\">no copies</td>");
        return;
    }
    let agree = copies.saturating_sub(differ);
    let percent = agree.saturating_mul(100) / copies;
    let drawn = picture::share(agree, copies);
    let _ = write!(out, "<td>{percent} % <small>{agree} of {copies}</small>{drawn}</td>");
}

fn bars(name: &SystemName, writes: &EntityWrites, page: &mut Page) {
    page.smaller_part(&format!(
        "{name}: {}, {}, {}",
        counted(writes.creates, "create", "creates"),
        counted(writes.updates, "update", "updates"),
        counted(writes.deletes, "delete", "deletes")
    ));
    let most = writes.fields.values().map(FieldWrites::changed).max().unwrap_or_default();
    for (field, of) in writes.fields.iter().filter(|(_, of)| of.changed() > 0) {
        let kinds = [
            ("spelled", of.spelling_only, "only spelled otherwise"),
            ("replaced", of.replaced - of.spelling_only.min(of.replaced), "replaced"),
            ("filled", of.filled, "filled in"),
            ("emptied", of.emptied, "emptied"),
        ];
        let parts = kinds.map(|(class, count, words)| Part { class, count, words });
        let there = parts.iter().filter(|part| part.count > 0);
        let told = there.map(|part| format!("{} {}", part.count, part.words)).collect::<Vec<_>>().join(", ");
        page.raw(format_args!(
            "<div class=\"field\"><b>{}</b>{}<small>{told}</small></div>",
            text(field.as_str()),
            picture::bar(&parts, most)
        ));
        examples(of, page);
    }
}

fn examples(of: &FieldWrites, page: &mut Page) {
    page.raw("<table class=\"examples\">");
    for example in &of.examples {
        page.raw(format_args!(
            "<tr><td>{}</td><td><del>{}</del></td><td><ins>{}</ins></td></tr>",
            text(&example.record),
            text(&short_value(&example.before)),
            text(&short_value(&example.after))
        ));
    }
    page.raw("</table>");
}

fn waiting(plan: &Plan, page: &mut Page) {
    if plan.questions_open == 0 && plan.set_aside.is_empty() {
        return;
    }
    page.part("What would wait for a person");
    let open = (plan.questions_open > 0).then(|| counted(plan.questions_open, "question", "questions"));
    let questions = plan.questions.iter().map(|question| {
        format!("{} {}, {}: {}", question.entity, question.record, question.about, question.why)
    });
    let set_aside = plan.set_aside.iter().map(|aside| {
        let what = if aside.came_in { "set aside from" } else { "refused by" };
        let named = aside.examples.join(", ");
        format!("{} {} {what} {}: {} ({named})", aside.count, aside.entity, aside.system, aside.cause)
    });
    page.list(open.into_iter().chain(questions).chain(set_aside));
}

fn systems(plan: &Plan, page: &mut Page) {
    page.part("Systems");
    let mut items = Vec::new();
    for (name, system) in &plan.systems {
        let made = &system.calls.made;
        let mut words = format!(
            "{name}: {}, {}, {} read by id; {} or more to write",
            counted(made.list_pages, "page listed", "pages listed"),
            counted(made.feed_pages, "page of changes", "pages of changes"),
            counted(made.copies_read, "copy", "copies"),
            counted(system.calls.to_write, "call", "calls")
        );
        if let Some(seconds) = system.calls.seconds_at_least {
            let _ = write!(words, ", {} or more at the declared rate", counted(seconds, "second", "seconds"));
        }
        items.push(words);
        let held = system.problem.iter().chain(&system.held).chain(&system.stops);
        items.extend(held.map(|said| format!("{name}: {said}")));
    }
    page.list(items);
}
