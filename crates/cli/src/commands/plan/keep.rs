//! A plan in a file: written for its owner alone, and read again by the sync that is held to it.

use crate::config::Config;
use crate::failure::Failure;
use avowal_engine::{Plan, PlanToKeep, configuration};
use std::io::Write;
use std::path::Path;

/// The largest file that is read as a plan, in bytes: some millions of writes.
const PLAN_BYTES_MAX: u64 = 1 << 30;

/// Keeps the plan in a file.
pub(super) fn keep(plan: &Plan, path: &Path) -> Result<(), Failure> {
    write(path, |writer| {
        serde_json::to_writer(&mut *writer, plan)?;
        writer.write_all(b"\n")
    })
}

/// Writes a file that only its owner may read. An older one is replaced when the new one is complete.
pub(super) fn write(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let unusable = |error: std::io::Error| {
        let place = path.display();
        Failure::failed(format!(
            "the plan cannot be kept in {place} ({error}). Name a file in a folder that is there"
        ))
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(unusable)?;
    {
        let mut writer = std::io::BufWriter::new(file.as_file_mut());
        content(&mut writer).map_err(unusable)?;
        writer.flush().map_err(unusable)?;
    }
    file.persist(path).map_err(|error| unusable(error.error))?;
    Ok(())
}

/// The plan in a file, as a sync is held to it. It must be one of these rules, and whole.
pub(in crate::commands) fn to_keep(config: &Config, path: &Path) -> Result<PlanToKeep, Failure> {
    let place = path.display();
    let anew = format!("Make it anew: `avowal plan --out {place}`");
    let unusable = |what: &str| Failure::usage(format!("{place} {what}. {anew}"));
    let unreadable = |error: std::io::Error| unusable(&format!("cannot be read ({error})"));
    if std::fs::metadata(path).map_err(unreadable)?.len() > PLAN_BYTES_MAX {
        return Err(unusable("is too large for a plan"));
    }
    let text = std::fs::read(path).map_err(unreadable)?;
    let plan: Plan = serde_json::from_slice(&text)
        .map_err(|error| unusable(&format!("is no plan of this version of avowal ({error})")))?;
    if plan.format != Plan::FORMAT {
        return Err(unusable("was made by another version of avowal"));
    }
    if plan.configuration != configuration(&config.policies) {
        return Err(unusable("was made under other rules than those of the configuration"));
    }
    if let Some((system, _)) = plan.systems.iter().find(|(_, system)| system.problem.is_some()) {
        return Err(unusable(&format!("is not whole, because {system} could not be read")));
    }
    if plan.writes.is_empty() && plan.writes_planned() > 0 {
        return Err(unusable("tells how many writes there are, but not which"));
    }
    Ok(PlanToKeep::new(plan.entity, plan.system, plan.writes))
}
