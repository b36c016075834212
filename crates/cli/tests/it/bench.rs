//! A folder with a configuration, and the command run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A folder of its own for one test.
pub struct Bench {
    folder: TempDir,
}

/// How a command ended.
pub struct Ended {
    /// The exit code.
    pub code: i32,
    /// What it said on stdout.
    pub out: String,
    /// What it said on stderr.
    pub err: String,
}

impl Bench {
    /// An empty folder.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A folder with this configuration.
    pub fn with(configuration: &str) -> Self {
        let bench = Self::new();
        bench.write("avowal.toml", configuration);
        bench
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: impl AsRef<Path>, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Runs `avowal` in the folder.
    pub fn avowal(&self, arguments: &[&str]) -> Ended {
        self.avowal_with(arguments, &[])
    }

    /// Runs `avowal` in the folder, with more environment variables.
    pub fn avowal_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        ended(&self.command(arguments).envs(variables.iter().copied()).output().unwrap())
    }

    /// The command `avowal` in the folder, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_avowal"));
        command.args(arguments).current_dir(self.folder.path());
        command.env_remove("AVOWAL_LOG").env_remove("BILLING_URL").env("USER", "ada");
        command
    }

    /// Runs `avowal`, which must end with this code, and answers everything that it said.
    #[track_caller]
    pub fn ends_with(&self, code: i32, arguments: &[&str]) -> String {
        let ended = self.avowal(arguments);
        assert_eq!(ended.code, code, "{arguments:?}: {}{}", ended.out, ended.err);
        ended.out + &ended.err
    }

    /// Runs `avowal` and answers its stdout as JSON, whatever the exit code.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let ended = self.avowal(&[arguments, &["--json"]].concat());
        serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {}{}", ended.out, ended.err))
    }
}

fn ended(output: &Output) -> Ended {
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout.clone()).unwrap(),
        err: String::from_utf8(output.stderr.clone()).unwrap(),
    }
}
