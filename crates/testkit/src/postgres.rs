//! A private Postgres server for one test run.
//!
//! It lives in a temporary folder, listens on a free port of 127.0.0.1, runs as an unprivileged user where the
//! tests run as root (Postgres refuses to run as root), and is stopped when it is dropped.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The server's superuser.
pub const USER: &str = "avowal";

/// Its password. Connections over TCP need it.
pub const PASSWORD: &str = "a-test-password";

const START_MS_MAX: u64 = 30_000;

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct PrivatePostgres {
    binaries: PathBuf,
    folder: TempDir,
    owner: Option<Owner>,
    settings: &'static [&'static str],
    port: u16,
    server: Option<Child>,
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    user: u32,
    group: u32,
}

impl PrivatePostgres {
    /// Makes a cluster and starts its server. Fails, saying why, where Postgres is not installed.
    pub fn start() -> io::Result<Self> {
        Self::start_with(&[])
    }

    /// The same with settings of its own, each as `name=value`, which win over those that make tests fast.
    pub fn start_with(settings: &'static [&'static str]) -> io::Result<Self> {
        let binaries = find_binaries()?;
        let folder = tempfile::Builder::new().prefix("avowal-pg-").tempdir()?;
        let owner = unprivileged(folder.path())?;
        if let Some(owner) = owner {
            std::os::unix::fs::chown(folder.path(), Some(owner.user), Some(owner.group))?;
        }
        let mut this = Self { binaries, folder, owner, settings, port: 0, server: None };
        this.make_cluster()?;
        this.launch()?;
        Ok(this)
    }

    /// The URL of one of its databases; `postgres` always exists.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database and returns its URL.
    pub fn create_database(&self, name: &str) -> io::Result<String> {
        self.psql("postgres", &format!("CREATE DATABASE \"{name}\""))?;
        Ok(self.url(name))
    }

    /// Runs SQL as the superuser, over the local socket, and returns what psql prints.
    pub fn psql(&self, database: &str, sql: &str) -> io::Result<String> {
        let mut psql = self.command("psql");
        psql.arg("-h").arg(self.folder.path()).args(["-p", &self.port.to_string(), "-U", USER]);
        psql.args(["-d", database, "-v", "ON_ERROR_STOP=1", "-XAtqc", sql]);
        let output = succeed(psql.output()?, "psql")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Stops the server at once, as a crash would.
    pub fn stop(&mut self) -> io::Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        let mut stop = self.command("pg_ctl");
        stop.args(["stop", "-m", "immediate", "-w", "-D"]).arg(self.data());
        let stopped = stop.output();
        if !stopped.is_ok_and(|output| output.status.success()) {
            server.kill()?;
        }
        server.wait().map(|_| ())
    }

    /// Starts it again on the same port.
    pub fn restart(&mut self) -> io::Result<()> {
        self.stop()?;
        self.launch_on(self.port)
    }

    /// A second server that follows this one until it is promoted; both have the same identity.
    pub fn follower(&self) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("avowal-pg-").tempdir()?;
        if let Some(owner) = self.owner {
            std::os::unix::fs::chown(folder.path(), Some(owner.user), Some(owner.group))?;
        }
        let mut copy = self.command("pg_basebackup");
        copy.args(["-R", "-X", "stream", "-c", "fast", "-U", USER, "-p", &self.port.to_string(), "-h"]);
        copy.arg(self.folder.path()).arg("-D").arg(folder.path().join("data"));
        succeed(copy.output()?, "pg_basebackup")?;
        let binaries = self.binaries.clone();
        let mut this =
            Self { binaries, folder, owner: self.owner, settings: self.settings, port: 0, server: None };
        this.launch()?;
        Ok(this)
    }

    /// Makes a follower a server of its own.
    pub fn promote(&self) -> io::Result<()> {
        let mut promote = self.command("pg_ctl");
        promote.args(["promote", "-w", "-D"]).arg(self.data());
        succeed(promote.output()?, "pg_ctl promote").map(|_| ())
    }

    /// All of a database as SQL, without what only psql understands.
    pub fn dump(&self, database: &str) -> io::Result<String> {
        let mut dump = self.command("pg_dump");
        dump.args(["--inserts", "-U", USER, "-p", &self.port.to_string(), "-h"]);
        dump.arg(self.folder.path()).arg(database);
        let output = succeed(dump.output()?, "pg_dump")?;
        let sql = String::from_utf8_lossy(&output.stdout);
        Ok(sql.lines().filter(|line| !line.starts_with('\\')).collect::<Vec<_>>().join("\n"))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn make_cluster(&self) -> io::Result<()> {
        let password = self.folder.path().join("password");
        std::fs::write(&password, PASSWORD)?;
        if let Some(owner) = self.owner {
            std::os::unix::fs::chown(&password, Some(owner.user), Some(owner.group))?;
        }
        let mut initdb = self.command("initdb");
        initdb.args(["-N", "-E", "UTF8", "--locale=C", "--auth-local=trust", "--auth-host=scram-sha-256"]);
        initdb.args(["-U", USER, "--pwfile"]).arg(password).arg("-D").arg(self.data());
        succeed(initdb.output()?, "initdb").map(|_| ())
    }

    /// Another process may take the free port before the server does, so a few are tried.
    fn launch(&mut self) -> io::Result<()> {
        let mut failure = io::Error::other("no free port");
        for _ in 0..3 {
            let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            match self.launch_on(port) {
                Ok(()) => return Ok(()),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn launch_on(&mut self, port: u16) -> io::Result<()> {
        let log = std::fs::File::create(self.folder.path().join("server.log"))?;
        let mut postgres = self.command("postgres");
        postgres.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        postgres.args(["-p", &port.to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "fsync=off",
            "full_page_writes=off",
            "shared_buffers=32MB",
            "max_connections=60",
        ]
        .iter()
        .chain(self.settings)
        {
            postgres.args(["-c", setting]);
        }
        postgres.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.port = port;
        self.server = Some(postgres.spawn()?);
        self.await_ready()
    }

    fn await_ready(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_millis(START_MS_MAX);
        loop {
            if self.psql("postgres", "SELECT 1").is_ok() {
                return Ok(());
            }
            let ended = self.server.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(self.folder.path().join("server.log"))?;
                let _ = self.stop();
                return Err(io::Error::other(format!("the Postgres server did not start: {log}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn command(&self, program: &str) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(self.binaries.join(program));
        command.current_dir(self.folder.path()).env_remove("PGOPTIONS").env("LC_ALL", "C");
        if let Some(owner) = self.owner {
            command.uid(owner.user).gid(owner.group);
        }
        command
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// The folder with `initdb`: one of PATH, or the newest that Debian's packages have made.
fn find_binaries() -> io::Result<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&on_path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<_> = versions.flatten().map(|entry| entry.path()).collect();
        versions.sort_by_key(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            std::cmp::Reverse(name.parse::<u32>().unwrap_or(0))
        });
        folders.extend(versions.into_iter().map(|version| version.join("bin")));
    }
    let complete = |folder: &PathBuf| {
        ["initdb", "postgres", "pg_ctl", "psql"].iter().all(|program| folder.join(program).is_file())
    };
    folders.into_iter().find(complete).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            "Postgres is not installed: neither PATH nor /usr/lib/postgresql has initdb (apt install postgresql)",
        )
    })
}

/// Whom to run as: nobody else, unless we are root.
fn unprivileged(folder: &Path) -> io::Result<Option<Owner>> {
    use std::os::unix::fs::MetadataExt;
    // The folder is ours, so its owner is who we are.
    if std::fs::metadata(folder)?.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    ["postgres", "nobody"].iter().find_map(|name| owner(&users, name)).map(Some).ok_or_else(|| {
        io::Error::other("Postgres does not run as root, and there is no user `postgres` or `nobody`")
    })
}

fn owner(users: &str, name: &str) -> Option<Owner> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut ids = line.split(':').skip(2);
    Some(Owner { user: ids.next()?.parse().ok()?, group: ids.next()?.parse().ok()? })
}

fn succeed(output: Output, program: &str) -> io::Result<Output> {
    if output.status.success() {
        return Ok(output);
    }
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{program} failed: {words}")))
}
