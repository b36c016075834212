//! `avowal check`: the configuration read back in sentences, and the systems compared with it.

use crate::arguments::CheckArguments;
use crate::compose;
use crate::config::{Config, SystemConfig};
use crate::failure::{Exit, Failure};
use crate::output::{Mark, Output};
use avowal_core::data::ids::{EntityName, FieldName, SystemName};
use avowal_core::explain::{delete_sentence, match_sentence, policy_sentences};
use avowal_core::policy::EntityPolicy;
use avowal_engine::ports::connector::{
    Connector, ConnectorError, ConnectorErrorKind, Finding, Installation, Severity,
};
use avowal_engine::rows_without_key;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a system may take to answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);

/// How long its rows are counted, of that time.
const COUNT_TIMEOUT: Duration = Duration::from_secs(15);

/// Everything that `check` says.
#[derive(Serialize)]
struct Checked {
    entities: BTreeMap<EntityName, Rules>,
    systems: BTreeMap<SystemName, SystemChecked>,
}

/// The rules of an entity in sentences.
#[derive(Serialize)]
struct Rules {
    policy_digest: String,
    fields: BTreeMap<FieldName, String>,
    matching: String,
    deletes: String,
}

/// What was found at a system.
#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum SystemChecked {
    /// Its declarations are in order; it was not reached.
    NotReached,
    /// It was reached and fits. Notes are worth knowing all the same.
    Fits { notes: Vec<Finding> },
    /// It was reached and does not fit.
    Findings { findings: Vec<Finding> },
    /// It could not be used.
    Unusable { problem: String },
    /// It refuses our credentials.
    Refused { problem: String },
}

/// Prints the sentences and what was found; failed if a system does not fit or cannot be reached.
pub async fn run(config: &Config, arguments: &CheckArguments, output: &Output) -> Result<Exit, Failure> {
    let entities = config.policies.iter().map(|(name, policy)| (name.clone(), rules(policy)));
    let installation = compose::installation(config).await?;
    let mut checked = Checked { entities: entities.collect(), systems: BTreeMap::new() };
    for (name, system) in &config.systems {
        let mut found = if arguments.offline {
            declared(config, name, system)
        } else {
            reach(config, name, system, &installation).await
        };
        if let SystemChecked::Fits { notes: findings } | SystemChecked::Findings { findings } = &mut found {
            findings.extend(unsigned(name, system));
        }
        checked.systems.insert(name.clone(), found);
    }
    let exit = checked.exit();
    if output.is_json() {
        output.json(&checked)?;
    } else {
        print(&checked, output);
    }
    Ok(exit)
}

impl Checked {
    fn exit(&self) -> Exit {
        let is_refused = |found: &SystemChecked| matches!(found, SystemChecked::Refused { .. });
        if self.systems.values().any(is_refused) {
            Exit::Refused
        } else if self.systems.values().all(SystemChecked::is_good) {
            Exit::Done
        } else {
            Exit::Failed
        }
    }
}

impl SystemChecked {
    fn is_good(&self) -> bool {
        match self {
            SystemChecked::NotReached | SystemChecked::Fits { .. } => true,
            SystemChecked::Findings { .. }
            | SystemChecked::Unusable { .. }
            | SystemChecked::Refused { .. } => false,
        }
    }

    /// What `check` of a connector found.
    fn of(findings: Vec<Finding>) -> Self {
        let has_problem = findings.iter().any(|finding| finding.severity == Severity::Problem);
        if has_problem {
            SystemChecked::Findings { findings }
        } else {
            SystemChecked::Fits { notes: findings }
        }
    }
}

fn rules(policy: &EntityPolicy) -> Rules {
    Rules {
        policy_digest: policy.short_digest(),
        fields: policy_sentences(policy).into_iter().collect(),
        matching: match_sentence(policy),
        deletes: delete_sentence(policy),
    }
}

/// Says that a system does not sign its webhooks.
fn unsigned(name: &SystemName, system: &SystemConfig) -> Option<Finding> {
    let webhook = system.webhook.as_ref()?;
    let from = match (&webhook.secret_path, webhook.secrets.is_empty()) {
        (Some(_), _) => "whoever knows the path of its webhooks may send one",
        (None, true) => "whoever reaches the listener may send one of its webhooks",
        (None, false) => return None,
    };
    let problem = format!("{from}, so they are signals only: the copy is read, and the body is not believed");
    let cure = "Declare `webhook.secrets` if the system can sign";
    Some(Finding::note(format!("system {name}"), problem, cure))
}

/// What can be told without reaching the system.
fn declared(config: &Config, name: &SystemName, system: &SystemConfig) -> SystemChecked {
    match system.connector.check_offline(compose::bindings(name, &config.policies)) {
        Ok(findings) if findings.is_empty() => SystemChecked::NotReached,
        Ok(findings) => SystemChecked::Findings { findings },
        Err(error) => SystemChecked::Unusable { problem: error.to_string() },
    }
}

async fn reach(
    config: &Config,
    name: &SystemName,
    system: &SystemConfig,
    installation: &Installation,
) -> SystemChecked {
    let connector = match compose::connector(name, system, installation, &config.policies) {
        Ok(connector) => connector,
        Err(error) => return SystemChecked::Unusable { problem: error.to_string() },
    };
    match tokio::time::timeout(CHECK_TIMEOUT, look(config, name, connector.as_ref())).await {
        Ok(Ok(findings)) => SystemChecked::of(findings),
        Ok(Err(error)) if error.kind == ConnectorErrorKind::Unauthorised => {
            SystemChecked::Refused { problem: error.to_string() }
        }
        Ok(Err(error)) => SystemChecked::Unusable { problem: error.to_string() },
        Err(_) => {
            let problem = format!(
                "no answer within {} s. Is it running, and is the address right?",
                CHECK_TIMEOUT.as_secs()
            );
            SystemChecked::Unusable { problem }
        }
    }
}

/// What the connector finds, and, where it fits, the rows that will go nowhere. A system that lists slowly is no system
/// that does not answer, so the rows are counted only for a while.
async fn look(
    config: &Config,
    name: &SystemName,
    connector: &dyn Connector,
) -> Result<Vec<Finding>, ConnectorError> {
    let mut findings = connector.check().await?;
    if findings.iter().all(|finding| finding.severity == Severity::Note) {
        let counted =
            tokio::time::timeout(COUNT_TIMEOUT, rows_that_go_nowhere(config, name, connector)).await;
        let seconds = COUNT_TIMEOUT.as_secs();
        findings.extend(counted.unwrap_or_else(|_| {
            let problem =
                format!("its rows could not be read within {seconds} s, so none without a key was counted");
            Ok(vec![Finding::note(format!("system {name}"), problem, "`avowal sync` lists such rows")])
        })?);
    }
    Ok(findings)
}

async fn rows_that_go_nowhere(
    config: &Config,
    name: &SystemName,
    connector: &dyn Connector,
) -> Result<Vec<Finding>, ConnectorError> {
    let mut findings = Vec::new();
    for policy in config.policies.values() {
        findings.extend(rows_without_key(connector, name, policy).await?);
    }
    Ok(findings)
}

fn print(checked: &Checked, output: &Output) {
    for (entity, rules) in &checked.entities {
        output.line(output.mark(Mark::Strong, format!("{entity} (policy {})", rules.policy_digest)));
        for sentence in rules.fields.values() {
            output.line(format!("  {sentence}"));
        }
        output.line(format!("  Matching: {}", rules.matching));
        output.line(format!("  Deletes: {}", rules.deletes));
    }
    for (system, found) in &checked.systems {
        match found {
            SystemChecked::NotReached => output.line(format!("{system}: declared; not reached (--offline)")),
            SystemChecked::Fits { notes } => {
                output.line(format!("{system}: {}", output.mark(Mark::Good, "reached, and it fits")));
                print_findings(notes, output);
            }
            SystemChecked::Findings { findings } => {
                output.line(format!("{system}: {}", output.mark(Mark::Bad, "reached, but it does not fit")));
                print_findings(findings, output);
            }
            SystemChecked::Unusable { problem } | SystemChecked::Refused { problem } => {
                output.line(format!("{system}: {}: {problem}", output.mark(Mark::Bad, "cannot be used")));
            }
        }
    }
}

fn print_findings(findings: &[Finding], output: &Output) {
    for finding in findings {
        output.line(format!("  {}: {}. {}", finding.place, finding.problem, finding.cure));
    }
}
