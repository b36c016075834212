//! The stage of the demo: an app database, a CRM process, and the real `avowal` command between them.

use crate::failure::Exit;
use serde_json::{Value, json};
use std::fmt;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Why the demo could not go on.
#[derive(Debug)]
pub struct Trouble(pub String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// The configuration that the demo runs, as it stands in `examples/quickstart`.
const CONFIGURATION: &str = include_str!("../../../../../examples/quickstart/avowal.toml");

/// The secret that the CRM signs its webhooks with. It protects nothing but this demo.
const WEBHOOK_SECRET: &str = "whsec_ZGVtby1zZWNyZXQtb2YtdGhlLXF1aWNrc3RhcnQ=";

/// How long anything on this machine may take before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(15);

/// Everything that plays.
pub struct Stage {
    folder: PathBuf,
    program: PathBuf,
    listen: String,
    crm: Process,
    crm_url: String,
    client: reqwest::Client,
}

/// A child process that ends with its handle.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stage {
    /// Sets everything up in an empty folder.
    pub fn set(folder: &Path) -> Result<Self, Trouble> {
        let program = std::env::current_exe()?;
        std::fs::write(folder.join("avowal.toml"), CONFIGURATION)?;
        let listen = free_address()?;
        let (crm, crm_url) = start_crm(&program, &listen)?;
        let tls = avowal_tls::client_config()?;
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build()?;
        Ok(Self { folder: folder.to_owned(), program, listen, crm, crm_url, client })
    }

    /// The app's own database connection, as the app's users have it.
    pub fn app(&self) -> Result<rusqlite::Connection, Trouble> {
        let connection = rusqlite::Connection::open(self.folder.join("app.db"))?;
        connection.busy_timeout(PATIENCE)?;
        Ok(connection)
    }

    /// Runs `avowal` with these arguments and prints the command and its output.
    pub fn show(&self, arguments: &[&str]) -> Result<(), Trouble> {
        println!("    $ avowal {}", shell_words(arguments));
        for line in self.run(arguments)?.lines() {
            println!("    {line}");
        }
        println!();
        Ok(())
    }

    /// Runs `avowal … --json` and answers what it says.
    pub fn ask(&self, arguments: &[&str]) -> Result<Value, Trouble> {
        let mut all = arguments.to_vec();
        all.push("--json");
        Ok(serde_json::from_str(&self.run(&all)?)?)
    }

    fn run(&self, arguments: &[&str]) -> Result<String, Trouble> {
        let output = self.command(arguments).stdin(Stdio::null()).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let waits = Exit::Waiting.number().into();
        if output.status.success() || output.status.code() == Some(waits) {
            return Ok(text);
        }
        let problem = String::from_utf8_lossy(&output.stderr);
        Err(Trouble(format!(
            "`avowal {}` failed ({}):\n{text}{problem}",
            shell_words(arguments),
            output.status
        )))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("CRM_URL", &self.crm_url)
            .env("CRM_WEBHOOK_SECRET", WEBHOOK_SECRET)
            .env("AVOWAL_LISTEN", &self.listen);
        command
    }

    /// Starts the daemon, which takes webhooks while the handle lives.
    pub async fn daemon(&self) -> Result<Daemon, Trouble> {
        let child = self
            .command(&["run"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut daemon = Daemon(Process(child));
        let health = format!("http://{}/healthz", self.listen);
        let began = Instant::now();
        loop {
            if let Ok(answer) = self.client.get(&health).send().await
                && answer.status().is_success()
            {
                return Ok(daemon);
            }
            if let Some(status) = daemon.0.0.try_wait()? {
                let mut problem = String::new();
                if let Some(stderr) = daemon.0.0.stderr.take() {
                    std::io::Read::read_to_string(&mut BufReader::new(stderr), &mut problem)?;
                }
                return Err(Trouble(format!("`avowal run` ended ({status}): {problem}")));
            }
            if began.elapsed() > PATIENCE {
                return Err(Trouble("`avowal run` does not answer".to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until all webhooks have been answered, which the daemon does only when they are durable.
    pub async fn webhooks_answered(&self) -> Result<(), Trouble> {
        self.control("POST", "flush", Value::Null).await.map(|_| ())
    }

    /// Uses the CRM's control interface: what its users do, and which lies it tells.
    pub async fn control(&self, method: &str, path: &str, body: Value) -> Result<Value, Trouble> {
        self.request(method, &format!("/_control/{path}"), body).await
    }

    /// The CRM's contacts, as its users see them.
    pub async fn contacts(&self) -> Result<Vec<Value>, Trouble> {
        let listing = self.request("GET", "/contacts?per_page=100", Value::Null).await?;
        Ok(listing["contacts"].as_array().cloned().unwrap_or_default())
    }

    /// The CRM's id of the contact with this name.
    pub async fn contact(&self, name: &str) -> Result<String, Trouble> {
        let contacts = self.contacts().await?;
        let found = contacts.iter().find(|contact| contact["name"] == name);
        let id = found.and_then(|contact| contact["id"].as_str());
        id.map(str::to_owned).ok_or_else(|| Trouble(format!("the CRM has no contact named {name}")))
    }

    /// A support agent edits a contact in the CRM.
    pub async fn agent_edits(&self, id: &str, fields: Value) -> Result<(), Trouble> {
        let act = json!({ "actor": "Sam (support)", "fields": fields });
        self.control("PATCH", &format!("contacts/{id}"), act).await.map(|_| ())
    }

    async fn request(&self, method: &str, path: &str, body: Value) -> Result<Value, Trouble> {
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let mut request = self.client.request(method, format!("{}{path}", self.crm_url)).timeout(PATIENCE);
        if !body.is_null() {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            return Err(Trouble(format!("the CRM answered {status} to {path}: {text}")));
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Whether the CRM still runs; a demo that talks to nobody proves nothing.
    pub fn crm_is_alive(&mut self) -> Result<bool, Trouble> {
        Ok(self.crm.0.try_wait()?.is_none())
    }
}

/// A running `avowal run`.
pub struct Daemon(Process);

impl Daemon {
    /// Asks it to stop, as an init system would, and waits until it has.
    pub async fn stop(mut self) -> Result<(), Trouble> {
        let signal = format!("kill -TERM {}", self.0.0.id());
        Command::new("sh").args(["-c", &signal]).status()?;
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.0.0.try_wait()? {
                return if status.success() {
                    Ok(())
                } else {
                    Err(Trouble(format!("`avowal run` ended with {status}")))
                };
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(Trouble("`avowal run` did not stop".to_owned()))
    }
}

fn start_crm(program: &Path, listen: &str) -> Result<(Process, String), Trouble> {
    let crm = program.with_file_name("avowal-demo-crm");
    if !crm.exists() {
        let text = format!(
            "the demo's CRM is not there ({}). Run `make demo`, or build it with \
             `cargo build -p avowal-testkit --bins`",
            crm.display()
        );
        return Err(Trouble(text));
    }
    let hook = format!("http://{listen}/webhooks/crm");
    let mut child = Command::new(crm)
        .args([
            "--port",
            "0",
            "--webhook-url",
            &hook,
            "--webhook-secret",
            WEBHOOK_SECRET,
            "--stop-with-stdin",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take();
    let process = Process(child);
    let mut line = String::new();
    if let Some(output) = output {
        BufReader::new(output).read_line(&mut line)?;
    }
    let url = line.trim().strip_prefix("listening on ").map(str::to_owned);
    url.map(|url| (process, url)).ok_or_else(|| Trouble("the demo's CRM did not start".to_owned()))
}

/// An address on this machine that was free a moment ago.
fn free_address() -> Result<String, Trouble> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// The arguments as one would type them.
fn shell_words(arguments: &[&str]) -> String {
    let quote = |word: &&str| {
        let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=@+".contains(c));
        if plain { (*word).to_owned() } else { format!("'{word}'") }
    };
    arguments.iter().map(quote).collect::<Vec<_>>().join(" ")
}
