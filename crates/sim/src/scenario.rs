//! A seed becomes an explicit scenario: who takes part, under which rules, what can go wrong, and every step.

use crate::family::{Family, add_family};
use crate::fault::{Fault, Rates};
use crate::lies::add_lies;
use avowal_fakes::dice::Dice;
use serde::{Deserialize, Serialize};

/// One run, whole: it can be written to a file and played again.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Scenario {
    /// Where it came from; decides the faults of its calls.
    pub seed: u64,
    /// Who takes part.
    pub systems: Vec<Participant>,
    /// The rules between them.
    pub rules: Rules,
    /// How often calls fail, of a thousand.
    pub rates: Rates,
    /// How many workers share the store.
    pub workers: usize,
    /// The field that people care for above all, by its place; if there is one, its changes meet.
    #[serde(default)]
    pub focus: Option<usize>,
    /// Whether there are children beside the customers, and which systems hold them together.
    #[serde(default)]
    pub family: Option<Family>,
    /// Whether a person answers the open reviews when all is over.
    pub answers: bool,
    /// What happens, in order.
    pub trace: Vec<Action>,
}

/// One system.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Participant {
    /// Its name.
    pub name: String,
    /// What it lets the engine prove.
    pub profile: ProfileKind,
    /// For compare and set: whether a counter orders its states, so that the bodies of its webhooks are believed.
    #[serde(default)]
    pub counter: bool,
    /// Whether it gives the id of a deleted newest row to the next one, as SQLite does. Only a change log tells the two
    /// apart: elsewhere, and where a log has lost our place, the row might as well have been given another key.
    #[serde(default)]
    pub reuses_ids: bool,
    /// Whether it stores other spellings than it was sent.
    pub normalises: bool,
    /// The most writes a second that the engine may send, and at once.
    pub rate: Option<(u32, u32)>,
    /// By how much its clock is off, in milliseconds.
    pub skew_ms: i64,
    /// Fields that it does not hold.
    pub lacks: Vec<String>,
}

/// The five kinds of providers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileKind {
    /// An ordered change log with our keys.
    Log,
    /// Compare and set by etag.
    Cas,
    /// Snapshots with our keys and a coarse clock.
    Correlated,
    /// Only says which copy changed.
    SignalOnly,
    /// Values in the webhook, no order, no search.
    Bare,
}

impl ProfileKind {
    /// All five.
    pub const ALL: [ProfileKind; 5] = [
        ProfileKind::Log,
        ProfileKind::Cas,
        ProfileKind::Correlated,
        ProfileKind::SignalOnly,
        ProfileKind::Bare,
    ];

    /// Its name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            ProfileKind::Log => "log",
            ProfileKind::Cas => "cas",
            ProfileKind::Correlated => "correlated",
            ProfileKind::SignalOnly => "signal_only",
            ProfileKind::Bare => "bare",
        }
    }
}

/// The rules of a scenario, by the choices that they are made of. Places are places in the list of systems.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Rules {
    /// Which fields there are beside the key and the name.
    pub fields: Vec<String>,
    /// Who prevails in concurrent changes of shared fields, first to last.
    pub precedence: Vec<String>,
    /// Who owns `stage`.
    pub owner: String,
    /// Who may propose a `stage`.
    pub proposers: Vec<String>,
    /// What happens to a refused `stage`.
    pub on_refused: String,
    /// Who owns deletes; `shared`, a system, or nobody.
    pub deletes: Option<String>,
    /// What happens when an edit meets a delete.
    pub edit_against_delete: String,
    /// What null says: `clear` or `ignore`.
    pub nulls: String,
}

/// One step. `system`, `worker` and `thing` are places and numbers; `polls` says how far it gets before the next step.
#[allow(missing_docs, reason = "each step says what its parts are for")]
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A person adds a row for a thing, if the system has none.
    Insert { system: usize, thing: u32 },
    /// A person edits a field of a thing's row.
    Edit { system: usize, thing: u32, field: usize, how: How },
    /// Two people edit the same field in two systems in the same second.
    EditBoth { systems: (usize, usize), thing: u32, field: usize },
    /// A person deletes a thing's row.
    Delete { system: usize, thing: u32 },
    /// A person deletes the newest row, unless it is this thing's.
    DeleteNewest { system: usize, but: u32 },
    /// A person deletes a thing's row and makes it again.
    Recreate { system: usize, thing: u32 },
    /// The provider merges one thing's row into another's.
    Merge { system: usize, keep: u32, lose: u32 },
    /// Every row is touched.
    TouchAll { system: usize },
    /// All rows are deleted.
    DeleteAll { system: usize },
    /// A row cannot be read any more.
    Poison { system: usize, thing: u32 },
    /// A worker takes a turn at a system: so many polls of it.
    Turn { worker: usize, system: usize, polls: u32 },
    /// A worker runs until nothing is left to do, or for so many polls.
    Sync { worker: usize, full: bool, polls: u32 },
    /// A worker goes on with what it has begun.
    Step { worker: usize, polls: u32 },
    /// The webhooks that are due reach a worker.
    Deliver { worker: usize, polls: u32 },
    /// Time passes.
    Wait { ms: i64 },
    /// The clock is set.
    SetClock { ms: i64 },
    /// A worker dies and another takes its place.
    Crash { worker: usize },
    /// A worker stands still until it is woken.
    Pause { worker: usize },
    /// A paused worker goes on where it stood.
    Resume { worker: usize },
    /// A system's schema has changed, or is right again.
    Drift { system: usize, on: bool },
    /// A system's credentials are refused, or work again.
    Revoke { system: usize, on: bool },
    /// A system forgets the positions of its feed.
    Expire { system: usize },
    /// A system's feed shows nothing new, or shows it all.
    Stick { system: usize, on: bool },
    /// A system begins or ends to answer as if it held nothing.
    Blind { system: usize, on: bool },
    /// A person stops one direction of a system, while no worker is in the middle of something.
    Stop { system: usize, outgoing: bool },
    /// A person lets every system go on.
    GoOn,
}

/// How a person edits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// To something that never stood anywhere.
    Fresh,
    /// Back to what stood there before.
    Back,
    /// To nothing.
    Clear,
    /// To something that the field's type does not allow.
    Wrong,
}

/// The names of the fields that a person edits, by place.
pub const FIELDS: [&str; 6] = ["name", "stage", "note", "memo", "tags", "credit"];

/// The place of the field whose changes are added up.
const SUM: usize = 5;

/// The field that says which thing a row is. Nobody edits it.
pub const KEY: &str = "email";

/// The entity that all scenarios have.
pub const ENTITY: &str = "customer";

impl Scenario {
    /// The scenario of a seed.
    pub fn of_seed(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let systems = participants(&mut dice);
        let rules = rules(&mut dice, &systems);
        let mut systems = systems;
        let workers = 1 + usize::from(dice.chance(30));
        let mut rates = rates(&mut dice);
        let focus = focus(&mut dice, &rules);
        let mut trace = trace(&mut dice, systems.len(), workers, &rates, focus);
        add_stops(seed, systems.len(), &mut trace);
        reuse_ids(seed, &mut systems, &mut trace);
        let family = add_family(seed, systems.len(), &mut trace);
        add_lies(seed, systems.len(), &mut rates, &mut trace);
        Self { seed, systems, rules, rates, workers, focus, family, answers: dice.chance(50), trace }
    }
}

const NAMES: [&str; 5] = ["app", "billing", "crm", "desk", "erp"];

fn participants(dice: &mut Dice) -> Vec<Participant> {
    let count = 2 + dice.place(4).min(dice.place(4));
    let mut fields: Vec<&str> = FIELDS.to_vec();
    fields.retain(|field| *field != "name");
    let one = |name: &&str| Participant {
        name: (*name).to_owned(),
        profile: dice.pick(&ProfileKind::ALL).unwrap_or(ProfileKind::Log),
        counter: dice.chance(40),
        reuses_ids: false,
        normalises: dice.chance(15),
        rate: dice.chance(15).then(|| (1 + dice.roll(5) as u32, 1 + dice.roll(3) as u32)),
        skew_ms: if dice.chance(30) { dice.roll(20_000) as i64 - 10_000 } else { 0 },
        lacks: if dice.chance(20) {
            dice.pick(&fields).map(|field| field.to_owned()).into_iter().collect()
        } else {
            Vec::new()
        },
    };
    NAMES.iter().take(count).map(one).collect()
}

fn rules(dice: &mut Dice, systems: &[Participant]) -> Rules {
    let names: Vec<String> = systems.iter().map(|system| system.name.clone()).collect();
    let mut precedence = names.clone();
    precedence.rotate_left(dice.place(names.len()));
    let holders: Vec<String> = systems
        .iter()
        .filter(|system| !system.lacks.iter().any(|field| field == "stage"))
        .map(|system| system.name.clone())
        .collect();
    let owner = dice.pick(&holders).unwrap_or_else(|| names[0].clone());
    let proposers = if dice.chance(30) {
        holders.iter().filter(|name| **name != owner).take(1).cloned().collect()
    } else {
        Vec::new()
    };
    let mut fields: Vec<String> = FIELDS[1..].iter().map(|field| (*field).to_owned()).collect();
    fields.retain(|_| dice.chance(60));
    fields.retain(|field| systems.iter().any(|system| !system.lacks.contains(field)));
    let pick = |dice: &mut Dice, from: &[&str]| dice.pick(from).unwrap_or_default().to_owned();
    Rules {
        fields,
        precedence,
        owner,
        proposers,
        on_refused: pick(dice, &["revert", "revert", "ignore", "review"]),
        deletes: match dice.roll(4) {
            0 => None,
            1 => dice.pick(&names),
            _ => Some("shared".to_owned()),
        },
        edit_against_delete: pick(dice, &["review", "edit_wins", "delete_wins"]),
        nulls: pick(dice, &["clear", "ignore"]),
    }
}

/// Every seed meets its own choice of faults: what drowns in the noise of one run stands out in another.
fn rates(dice: &mut Dice) -> Rates {
    let mut rates = Rates::new();
    for fault in Fault::ALL {
        if dice.chance(45) {
            rates.insert(fault, dice.pick(&[20, 60, 150, 300]).unwrap_or(20));
        }
    }
    rates
}

const THINGS: u64 = 4;

/// In some runs there is a field that people care for above all.
fn focus(dice: &mut Dice, rules: &Rules) -> Option<usize> {
    let wanted = dice.pick(&rules.fields).filter(|_| dice.chance(30))?;
    FIELDS.iter().position(|field| *field == wanted)
}

fn trace(
    dice: &mut Dice,
    systems: usize,
    workers: usize,
    rates: &Rates,
    focus: Option<usize>,
) -> Vec<Action> {
    let things = match focus {
        Some(_) => 1 + dice.roll(2),
        None if rates.contains_key(&Fault::BulkDelete) && dice.chance(20) => THINGS + 2,
        None => 1 + dice.roll(THINGS),
    };
    let mut trace = Vec::new();
    for thing in 0..things as u32 {
        trace.push(Action::Insert { system: dice.place(systems), thing });
        if dice.chance(25) {
            trace.push(Action::Insert { system: dice.place(systems), thing });
        }
    }
    // Sometimes other things happen before everything has been listed once.
    let polls = if dice.chance(20) { dice.roll(200) as u32 } else { 5_000 };
    trace.push(Action::Sync { worker: 0, full: false, polls });
    let steps = 8 + dice.roll(24);
    for _ in 0..steps {
        let worker = dice.place(workers);
        trace.push(match dice.roll(100) {
            0..32 => edit(dice, systems, things, focus),
            32..34 if rates.contains_key(&Fault::ProviderMerge) => {
                let system = dice.place(systems);
                merge(dice, system, things)
            }
            33 if rates.contains_key(&Fault::WorkerPaused) => Action::Pause { worker },
            32..34 => Action::Step { worker, polls: 5 },
            34..44 => Action::Deliver { worker, polls: dice.roll(30) as u32 },
            44..58 => Action::Turn { worker, system: dice.place(systems), polls: dice.roll(60) as u32 },
            58..66 => Action::Step { worker, polls: dice.roll(40) as u32 },
            66..76 => Action::Sync { worker, full: dice.chance(15), polls: dice.roll(400) as u32 },
            76..84 => Action::Wait { ms: 1 + dice.roll(3_000) as i64 },
            84..88 => Action::Insert { system: dice.place(systems), thing: dice.roll(things + 1) as u32 },
            88..91 => Action::Delete { system: dice.place(systems), thing: dice.roll(things) as u32 },
            _ => match trouble(dice, systems, workers, things, rates) {
                Some(action) => action,
                None => Action::Step { worker, polls: 10 },
            },
        });
    }
    trace
}

/// In some runs a person stops systems now and then. The dice are of their own, so that the other runs stay as they were.
fn add_stops(seed: u64, systems: usize, trace: &mut Vec<Action>) {
    let mut dice = Dice::new(seed ^ 0x57_4f_50);
    if !dice.chance(12) {
        return;
    }
    for _ in 0..1 + dice.roll(3) {
        let from = 1 + dice.place(trace.len());
        trace.insert(
            from.min(trace.len()),
            Action::Stop { system: dice.place(systems), outgoing: dice.chance(70) },
        );
    }
    if dice.chance(60) {
        let last = trace.len() - dice.place(trace.len().div_ceil(3));
        trace.insert(last, Action::GoOn);
    }
}

/// In some runs tables give ids again, and rows come and go more often. The dice are of their own.
fn reuse_ids(seed: u64, systems: &mut [Participant], trace: &mut Vec<Action>) {
    let mut dice = Dice::new(seed ^ 0x1d_5a_94);
    if !dice.chance(20) {
        return;
    }
    for system in systems.iter_mut().filter(|system| system.profile == ProfileKind::Log) {
        system.reuses_ids = dice.chance(80);
    }
    let tables: Vec<usize> = (0..systems.len()).filter(|at| systems[*at].reuses_ids).collect();
    if tables.is_empty() {
        return;
    }
    trace.retain(|action| !matches!(action, Action::Expire { system } if tables.contains(system)));
    for _ in 0..2 + dice.roll(4) {
        let system =
            if dice.chance(70) { dice.pick(&tables).unwrap_or(0) } else { dice.place(systems.len()) };
        let thing = dice.roll(THINGS + 2) as u32;
        let at = (1 + dice.place(trace.len())).min(trace.len());
        trace.insert(at, Action::Insert { system, thing });
        let thing = if dice.chance(30) { thing } else { dice.roll(THINGS + 2) as u32 };
        let at = if dice.chance(50) { at } else { (1 + dice.place(trace.len())).min(trace.len()) };
        trace.insert(at, Action::DeleteNewest { system, but: thing });
    }
}

fn edit(dice: &mut Dice, systems: usize, things: u64, focus: Option<usize>) -> Action {
    let focus = focus.filter(|_| dice.chance(80));
    if dice.chance(6) {
        return Action::EditBoth {
            systems: (dice.place(systems), dice.place(systems)),
            thing: dice.roll(things) as u32,
            field: focus.unwrap_or(SUM),
        };
    }
    let how = match dice.roll(20) {
        0..3 => How::Back,
        3..10 if focus.is_none() => How::Back,
        10 => How::Clear,
        11 => How::Wrong,
        _ => How::Fresh,
    };
    Action::Edit {
        system: dice.place(systems),
        thing: dice.roll(things) as u32,
        field: focus.unwrap_or_else(|| dice.place(FIELDS.len())),
        how,
    }
}

/// Two different things, where there are two.
fn merge(dice: &mut Dice, system: usize, things: u64) -> Action {
    let keep = dice.roll(things);
    let lose = (keep + 1 + dice.roll(things.saturating_sub(1).max(1))) % things.max(1);
    Action::Merge { system, keep: keep as u32, lose: lose as u32 }
}

/// A fault that the trace contains, if this run may meet its kind.
fn trouble(dice: &mut Dice, systems: usize, workers: usize, things: u64, rates: &Rates) -> Option<Action> {
    let possible: Vec<Fault> = Fault::ALL
        .into_iter()
        .filter(|fault| IN_TRACES.contains(fault) && rates.contains_key(fault))
        .collect();
    let (system, thing, worker) = (dice.place(systems), dice.roll(things) as u32, dice.place(workers));
    Some(match dice.pick(&possible)? {
        Fault::ClockForward => Action::SetClock { ms: 1_000 + dice.roll(4_000_000) as i64 },
        Fault::ClockBack => Action::SetClock { ms: -1_000 - dice.roll(4_000_000) as i64 },
        Fault::ExpiredCursor => Action::Expire { system },
        Fault::SchemaDrift => Action::Drift { system, on: dice.chance(60) },
        Fault::RevokedCredential => Action::Revoke { system, on: dice.chance(60) },
        Fault::BulkTouch => Action::TouchAll { system },
        Fault::BulkDelete => Action::DeleteAll { system },
        Fault::ProviderMerge => merge(dice, system, things),
        Fault::DeleteAndRecreate => Action::Recreate { system, thing },
        Fault::SameSecond => Action::EditBoth {
            systems: (system, dice.place(systems)),
            thing,
            field: dice.place(FIELDS.len()),
        },
        Fault::PoisonPayload => Action::Poison { system, thing },
        Fault::WorkerPaused if dice.chance(70) => Action::Pause { worker },
        Fault::WorkerPaused => Action::Resume { worker },
        Fault::CrashDuringWrite => Action::Crash { worker },
        Fault::LateWebhook => Action::Stick { system, on: dice.chance(60) },
        _ => return None,
    })
}

/// The kinds of trouble that a trace contains as steps of their own.
const IN_TRACES: [Fault; 14] = [
    Fault::ClockForward,
    Fault::ClockBack,
    Fault::ExpiredCursor,
    Fault::SchemaDrift,
    Fault::RevokedCredential,
    Fault::BulkTouch,
    Fault::BulkDelete,
    Fault::ProviderMerge,
    Fault::DeleteAndRecreate,
    Fault::SameSecond,
    Fault::PoisonPayload,
    Fault::WorkerPaused,
    Fault::CrashDuringWrite,
    Fault::LateWebhook,
];
