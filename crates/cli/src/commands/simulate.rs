//! `avowal simulate`: the configuration's rules, tried on simulated systems and people before they meet real ones.

use crate::arguments::{Arguments, SimulateArguments};
use crate::compose;
use crate::config::{Config, SystemConfig};
use crate::failure::{Exit, Failure};
use crate::output::{Mark, Output, counted};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::record::Subject;
use avowal_forecast::{
    Average, Diverged, FieldForecast, FlappingField, Forecast, Participant, Plan, forecast,
};

/// The most fields that are told; `--json` tells all.
const FIELDS_MAX: usize = 15;

/// Plays the seeds and tells what to expect; failed if a seed does not converge. No system is reached.
pub fn run(
    config: &Config,
    simulate: &SimulateArguments,
    arguments: &Arguments,
    output: &Output,
) -> Result<Exit, Failure> {
    let plan = plan(config, simulate)?;
    let forecast = forecast(&plan);
    let exit = if forecast.converges { Exit::Done } else { Exit::Failed };
    if output.is_json() {
        output.json(&forecast)?;
    } else {
        let again = again(simulate, arguments);
        Telling { output, forecast: &forecast, plan: &plan, again }.tell();
    }
    Ok(exit)
}

fn plan(config: &Config, simulate: &SimulateArguments) -> Result<Plan, Failure> {
    let participants =
        config.systems.iter().map(|(name, system)| Ok((name.clone(), participant(config, name, system)?)));
    Ok(Plan {
        policies: config.policies.clone(),
        systems: participants.collect::<Result<_, Failure>>()?,
        settings: config.settings.clone(),
        seeds: simulate.seeds,
        days: simulate.days,
        records: simulate.records,
        edits: simulate.edits,
    })
}

/// A system as it is declared. Nothing is opened and nothing is sent.
fn participant(config: &Config, name: &SystemName, system: &SystemConfig) -> Result<Participant, Failure> {
    system.connector.check_offline(compose::bindings(name, &config.policies))?;
    let held = config.policies.values().filter(|policy| policy.mappings.contains_key(name));
    let entities: Vec<&EntityName> = held.map(|policy| &policy.entity).collect();
    let connector = &system.connector;
    let capabilities = entities.iter().map(|entity| ((*entity).clone(), connector.capabilities(entity)));
    let believed = entities.iter().filter(|entity| connector.believes_deliveries(entity));
    Ok(Participant {
        capabilities: capabilities.collect(),
        webhooks: system.webhook.is_some(),
        bodies: believed.map(|entity| (*entity).clone()).collect(),
        poll_ms: system.poll_ms,
    })
}

/// The command that plays one seed again.
fn again(simulate: &SimulateArguments, arguments: &Arguments) -> String {
    let SimulateArguments { days, records, edits, .. } = simulate;
    let config = arguments.config.display();
    format!("avowal simulate -c {config} --days {days} --records {records} --edits {edits}")
}

/// The forecast in words.
struct Telling<'a> {
    output: &'a Output,
    forecast: &'a Forecast,
    plan: &'a Plan,
    again: String,
}

impl Telling<'_> {
    fn tell(&self) {
        self.head();
        self.convergence();
        self.days();
        self.fields();
        self.flapping();
        self.remarks();
    }

    fn line(&self, text: impl AsRef<str>) {
        self.output.line(text);
    }

    fn heading(&self, text: &str) {
        self.line("");
        self.line(self.output.mark(Mark::Strong, text));
    }

    fn head(&self) {
        let forecast = self.forecast;
        self.line(format!(
            "{} of {}: {}, {} of each of {}, {} a day in every system.",
            counted(forecast.seeds, "seed", "seeds"),
            counted(forecast.days.into(), "day", "days"),
            counted(self.plan.systems.len() as u64, "simulated system", "simulated systems"),
            counted(forecast.records.into(), "record", "records"),
            counted(self.plan.policies.len() as u64, "entity", "entities"),
            counted(forecast.edits.into(), "edit", "edits"),
        ));
    }

    fn convergence(&self) {
        if self.forecast.converges {
            let text = "Every seed converges: when people and faults rest, all copies agree and nothing more is written.";
            self.line(self.output.mark(Mark::Good, text));
            return;
        }
        let count = self.forecast.diverged.len();
        let text = format!("{} did not converge.", counted(count as u64, "seed", "seeds"));
        self.line(self.output.mark(Mark::Bad, text));
        for diverged in &self.forecast.diverged {
            self.diverged(diverged);
        }
    }

    fn diverged(&self, diverged: &Diverged) {
        self.line(format!("  seed {}", diverged.seed));
        for difference in &diverged.differences {
            self.line(format!("    {}", difference.what));
            if self.forecast.seeds == 1 {
                difference.story.iter().for_each(|line| self.line(format!("      {line}")));
            }
        }
        if self.forecast.seeds > 1 {
            let seed = diverged.seed;
            self.line(format!("    to see how it came about: {} --seeds {seed}-{seed}", self.again));
        }
    }

    fn days(&self) {
        let per_day = &self.forecast.per_day;
        self.heading("A day                 mean    most");
        let row = |name: &str, figure: Average| {
            self.line(format!("  {name:<16}{:>8.1}{:>8}", figure.mean, figure.most))
        };
        row("edits", per_day.edits);
        row("writes", per_day.writes);
        row("conflicts", per_day.conflicts);
        row("reviews", per_day.reviews);
        row("refused changes", per_day.refused);
        row("quarantined", per_day.quarantined);
        let forecast = self.forecast;
        self.line(format!(
            "  {:.2} writes for each edit carry nobody's change: values written back, and attempts repeated after a fault.",
            forecast.extra_writes_per_edit
        ));
        self.line(format!(
            "  After an edit it takes {:.1} rounds of questions and writes until all agree, at most {}.",
            forecast.rounds.mean, forecast.rounds.most
        ));
        let link = &forecast.first_link;
        self.line(format!(
            "  The first link of all records takes {:.0} writes and leads to {:.1} conflicts, {:.1} reviews and {:.1} refused values.",
            link.writes, link.conflicts, link.reviews, link.refused
        ));
    }

    fn fields(&self) {
        let fields = &self.forecast.fields;
        if fields.is_empty() {
            self.heading("No field is ever contested or refused.");
            return;
        }
        self.heading("Fields, a day                      edits conflicts   reviews   refused");
        for field in fields.iter().take(FIELDS_MAX) {
            self.field(field);
        }
        if fields.len() > FIELDS_MAX {
            self.line(format!("  and {} more: see --json", fields.len() - FIELDS_MAX));
        }
    }

    fn field(&self, field: &FieldForecast) {
        let refused = field.refused.iter().fold(0.0, |sum, refusals| sum + refusals.per_day);
        let name = match &field.field {
            Subject::Existence => format!("{}: deletes", field.entity),
            Subject::Field(name) => format!("{}.{name}", field.entity),
        };
        self.line(format!(
            "  {name:<28}{:>10.1}{:>10.1}{:>10.1}{refused:>10.1}",
            field.edits, field.conflicts, field.reviews
        ));
        for refusals in &field.refused {
            self.line(format!(
                "      {} of {}: {}",
                rate(refusals.per_day),
                refusals.system,
                refusals.reason
            ));
        }
    }

    fn flapping(&self) {
        let flapping = &self.forecast.flapping;
        if flapping.is_empty() {
            self.heading("No field flaps: nothing was corrected again and again.");
            return;
        }
        self.heading("Fields that fight");
        flapping.iter().for_each(|fight| self.fight(fight));
    }

    fn fight(&self, fight: &FlappingField) {
        let title =
            format!("{}.{} between {} and {}", fight.entity, fight.field, fight.corrected, fight.prevails);
        self.line(format!("  {}", self.output.mark(Mark::Warn, title)));
        self.line(format!(
            "    What {} holds was written back up to {} a day, and entered again each time; {} in all seeds.",
            fight.corrected,
            counted(fight.worst, "time", "times"),
            counted(fight.times, "such day", "such days"),
        ));
        self.line(format!("    rule: {}", fight.rule));
        self.line(format!("    advice: {}.", fight.advice));
    }

    fn remarks(&self) {
        let forecast = self.forecast;
        if !forecast.held.is_empty()
            || !forecast.quarantined.is_empty()
            || !forecast.without_values.is_empty()
        {
            self.heading("Remarks");
        }
        for held in &forecast.held {
            self.line(format!("  a guard stopped writes: {held}"));
        }
        for reason in &forecast.quarantined {
            self.line(format!("  set aside {}: {}", counted(reason.times, "time", "times"), reason.reason));
        }
        for field in &forecast.without_values {
            self.line(format!(
                "  nobody edited {field}: no value was found that its `valid` rule accepts, so it was left empty"
            ));
        }
    }
}

/// `2.1 a day`; what is rarer is not nothing.
fn rate(per_day: f64) -> String {
    if per_day < 0.05 { "less than 0.1 a day".to_owned() } else { format!("{per_day:.1} a day") }
}
