//! A copy of the workspace in which mistakes are made. It is kept, and only what differs is written again, so that
//! the next build of it is short.

use super::edit::{EditedMistake, applied, switch};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The UTF-8 files below `root` in `folder`, by path below `root`, without what is built.
///
/// # Errors
/// A folder or file that cannot be read.
pub fn sources(root: &Path, folder: &Path) -> Result<BTreeMap<PathBuf, String>, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let place = root.join(&folder);
        let failed = |error: std::io::Error| format!("{}: {error}", place.display());
        for entry in std::fs::read_dir(&place).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = folder.join(entry.file_name());
            if !entry.file_type().map_err(failed)?.is_dir() {
                // Whatever is no text is no source.
                if let Ok(text) = std::fs::read_to_string(root.join(&path)) {
                    files.insert(path, text);
                }
            } else if entry.file_name() != "target" {
                folders.push(path);
            }
        }
    }
    Ok(files)
}

/// Makes the copy with all mistakes in it, each behind its switch, builds it, and answers the simulator's path.
///
/// # Errors
/// Mistakes that cannot be applied, files that cannot be copied, a build that fails.
pub fn build(root: &Path, target: &Path, mistakes: &[EditedMistake]) -> Result<PathBuf, String> {
    let mut files = sources(root, Path::new("crates"))?;
    for name in ["Cargo.toml", "Cargo.lock", ".cargo/config.toml", "rust-toolchain.toml"] {
        if let Ok(text) = std::fs::read_to_string(root.join(name)) {
            files.insert(PathBuf::from(name), text);
        }
    }
    files.extend(applied(root, mistakes)?);
    files.entry(PathBuf::from("crates/core/src/lib.rs")).or_default().push_str(&switch());
    let copy = target.join("mistakes");
    // A folder of its own: in a common one, cargo takes the crates of the copy for ours where they are newer.
    let built_in = copy.join("target");
    write(&copy, &files)?;
    let built = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
        .args(["build", "--quiet", "--profile", "sim", "--package", "avowal-sim", "--bin", "avowal-sim"])
        .env("CARGO_TARGET_DIR", &built_in)
        .current_dir(&copy)
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    // The compiler's warnings about the edits are of no interest unless the build fails.
    if !built.status.success() {
        let problems = String::from_utf8_lossy(&built.stderr);
        return Err(format!("the copy in {} does not build\n{problems}", copy.display()));
    }
    Ok(built_in.join("sim").join("avowal-sim"))
}

fn write(copy: &Path, files: &BTreeMap<PathBuf, String>) -> Result<(), String> {
    if copy.join("crates").exists() {
        for path in sources(copy, Path::new("crates"))?.into_keys().filter(|path| !files.contains_key(path)) {
            std::fs::remove_file(copy.join(path)).map_err(|error| error.to_string())?;
        }
    }
    for (path, text) in files {
        let place = copy.join(path);
        if std::fs::read_to_string(&place).is_ok_and(|present| present == *text) {
            continue;
        }
        let folder = place.parent().unwrap_or(copy);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&place, text))
            .map_err(|error| format!("{}: {error}", place.display()))?;
    }
    Ok(())
}
