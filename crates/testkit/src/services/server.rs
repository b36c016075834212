//! A service's process: started on a free port, awaited, and stopped when it is dropped.

use super::caller::{Caller, Method};
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const START_MS_MAX: u64 = 120_000;
/// Another process may take the free port first.
const PORTS_MAX: usize = 3;

/// A running service in a temporary folder of its own.
#[derive(Debug)]
pub(super) struct Server {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// Starts what `command` makes of the folder and the port, and waits until `ready` is answered successfully.
    pub(super) fn start(
        name: &str,
        ready: &str,
        command: impl Fn(&Path, u16) -> io::Result<Command>,
    ) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(&format!("avowal-{name}-")).tempdir()?;
        let mut this = Self { folder, port: 0, child: None };
        let mut failure = io::Error::other("no free port");
        for _ in 0..PORTS_MAX {
            this.port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            let command = command(this.folder.path(), this.port)?;
            match this.launch(name, ready, command) {
                Ok(()) => return Ok(this),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Where it listens.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn launch(&mut self, name: &str, ready: &str, mut command: Command) -> io::Result<()> {
        let log = File::create(self.folder.path().join("server.log"))?;
        command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn()?);
        let caller = Caller::new(&self.url(), &[])?;
        let deadline = Instant::now() + Duration::from_millis(START_MS_MAX);
        loop {
            let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_none() && caller.text(Method::GET, ready, None).is_ok() {
                return Ok(());
            }
            if ended.is_some() || Instant::now() > deadline {
                self.stop();
                let log = std::fs::read_to_string(self.folder.path().join("server.log"))?;
                return Err(io::Error::other(format!("{name} did not start: {log}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
