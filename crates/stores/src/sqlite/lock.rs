//! One writing process at a time, held by an operating-system lock that a crash releases.

use avowal_engine::ports::store::StoreError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The lock beside a database; released when dropped, or when the process ends in any way.
#[derive(Debug)]
pub(super) struct WriteLock {
    _file: File,
}

impl WriteLock {
    /// Takes the lock of the database at `path`, or tells who holds it.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let name = lock_path(path);
        let unusable = |error: std::io::Error| {
            StoreError::Unavailable(format!(
                "{} cannot be opened ({error}); check that the folder exists and that this user may write there",
                name.display()
            ))
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&name)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(holder(&name, &mut file))),
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        // The number is for a person to read; the lock holds without it, so a full disk does not matter here.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn holder(name: &Path, file: &mut File) -> String {
    let mut pid = String::new();
    let read = file.rewind().and_then(|()| file.take(20).read_to_string(&mut pid));
    match (read, pid.trim().parse::<u32>()) {
        (Ok(_), Ok(pid)) => format!("{} is held by process {pid}", name.display()),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => format!("{} is held", name.display()),
    }
}
