//! The binary under measurement, in a folder of its own.

use crate::Outcome;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A folder with a configuration.
pub struct Workspace {
    folder: TempDir,
}

/// How a command went.
pub struct Ran {
    /// How long it took.
    pub took: Duration,
    /// The most memory it held at once, in megabytes.
    pub peak_mb: f64,
    /// Its report.
    pub report: serde_json::Value,
}

/// A running `avowal run`; dropping it ends it.
pub struct Daemon {
    child: Child,
    /// How long it took until it said that it runs.
    pub ready: Duration,
}

impl Workspace {
    /// A folder with this configuration.
    pub fn new(configuration: &str) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("avowal.toml"), configuration)?;
        Ok(Self { folder })
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `avowal sync` to its end.
    pub fn sync(&self, more: &[&str]) -> Outcome<Ran> {
        let out = std::fs::File::create(self.path("out.json"))?;
        let err = std::fs::File::create(self.path("err.txt"))?;
        let began = Instant::now();
        let mut command = self.command();
        let mut child =
            command.args(["sync", "--yes", "--json"]).args(more).stdout(out).stderr(err).spawn()?;
        let mut peak_mb: f64 = 0.0;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            peak_mb = peak_mb.max(memory_mb(child.id(), "VmHWM:"));
            std::thread::sleep(Duration::from_millis(2));
        };
        let took = began.elapsed();
        // 4 says that something waits for a person, which is no failure of the run.
        if !status.success() && status.code() != Some(4) {
            return Err(std::fs::read_to_string(self.path("err.txt"))?.into());
        }
        let report = serde_json::from_str(&std::fs::read_to_string(self.path("out.json"))?)?;
        Ok(Ran { took, peak_mb, report })
    }

    /// Starts a sync and leaves it to the caller.
    pub fn begin_sync(&self) -> Outcome<Child> {
        Ok(self
            .command()
            .args(["sync", "--yes", "--json"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?)
    }

    /// Starts the daemon and waits for its word that it runs.
    pub fn run(&self) -> Outcome<Daemon> {
        let began = Instant::now();
        let mut child = self.command().arg("run").stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().ok_or("no stderr")?).lines();
        let mut said = String::new();
        for line in lines.by_ref() {
            let line = line?;
            if line.contains("Running.") {
                let ready = began.elapsed();
                // Whatever else it says is read, so that it never waits for us.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(Daemon { child, ready });
            }
            said.push_str(&line);
        }
        Err(format!("avowal did not start: {said}").into())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command.current_dir(self.folder.path()).env_remove("AVOWAL_LOG");
        command
    }
}

impl Daemon {
    /// The memory that it holds now, in megabytes.
    pub fn memory_mb(&self) -> f64 {
        memory_mb(self.child.id(), "VmRSS:")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary() -> PathBuf {
    let mine = std::env::current_exe().unwrap_or_default();
    mine.parent().unwrap_or(Path::new(".")).join("avowal")
}

fn memory_mb(process: u32, key: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kb = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kb.unwrap_or(0.0) / 1024.0
}
