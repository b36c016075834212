//! What goes wrong around the engine: each time a clear message, the others go on, and nothing is lost.

use super::row::{Peer, Row, Rows};
use super::world::{Ran, World};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's `nobody`.
const NOBODY: u32 = 65_534;

#[test]
fn a_wrong_policy_is_refused_with_its_place_and_cure() {
    let world = World::new();
    let cases: [(&str, &str, &[&str]); 6] = [
        ("owner = \"crm\", strategy", "owner = \"crn\", strategy", &["stage", "crn"]),
        ("[store]\nurl", "[store]\nulr", &["ulr", "url"]),
        ("merge = \"delta\"", "merge = \"union\"", &["credit", "It needs a set"]),
        ("strategy = \"local_wins\" }", "strategy = \"external_wins\" }", &["code", "external_wins"]),
        ("cancelled = [] } }", "cancelled = [\"gone\"] } }", &["gone"]),
        ("env:BILLING_URL", "env:NO_SUCH_VARIABLE", &["NO_SUCH_VARIABLE"]),
    ];
    for (from, to, says) in cases {
        world.reconfigure(from, to);
        for arguments in [["check"], ["sync"]] {
            let ran = world.run(&arguments);
            ran.assert(2, says);
            assert!(ran.words().contains("avowal.toml:"), "it names no line: {ran}");
        }
        assert!(!world.path("avowal.db").exists(), "a wrong configuration made a store");
    }
    std::fs::remove_file(world.path("avowal.toml")).unwrap();
    world.run(&["sync"]).assert(2, &["avowal.toml"]);
}

#[test]
fn an_unreachable_system_is_left_alone_and_catches_up() {
    let (mut world, mut rows) = World::synced(200);
    world.postgres.stop().unwrap();
    rows.get_mut("c00001").unwrap().name = Some("While billing was away".to_owned());
    world.edit_one(Peer::App, "c00001", "full_name", "While billing was away");
    rows.get_mut("c00002").unwrap().stage = Some("lead".to_owned());
    world.edit_one(Peer::Crm, "c00002", "stage", "lead");
    let ran = world.run(&["sync"]);
    ran.assert(1, &["billing", "not in agreement"]);
    assert!(!ran.words().contains("a-test-password"), "a secret in the message: {ran}");
    for place in [Peer::App, Peer::Crm] {
        super::row::assert_equal(place.name(), &world.rows(place), &rows);
    }
    world.postgres.restart().unwrap();
    world.sync();
    world.assert_all(&rows);

    world.pocketbase.stop().unwrap();
    rows.get_mut("c00003").unwrap().name = Some("While the CRM was away".to_owned());
    world.edit_one(Peer::Billing, "c00003", "name", "While the CRM was away");
    world.run(&["sync"]).assert(1, &["crm", "not in agreement"]);
    super::row::assert_equal("app", &world.rows(Peer::App), &rows);
    world.pocketbase.restart().unwrap();
    world.sync();
    world.assert_all(&rows);
    world.assert_quiet();
    world.assert_history();
}

#[test]
fn a_wrong_password_is_named_and_nothing_is_taken_for_deleted() {
    let (world, rows) = World::synced(20);
    world.reconfigure("env:CRM_PASSWORD", "not-the-password");
    let ran = world.run(&["sync", "--full"]);
    ran.assert(5, &["crm", "not in agreement"]);
    assert!(!ran.words().contains("not-the-password"), "a secret in the message: {ran}");
    world.reconfigure("env:CRM_PASSWORD", "env:CRM_PASSWORD");
    world.sync();
    world.assert_all(&rows);
}

#[test]
fn a_dropped_table_is_no_delete_of_everything() {
    let (world, mut rows) = World::synced(200);
    world.billing("ALTER TABLE customers RENAME TO moved");
    rows.get_mut("c00001").unwrap().name = Some("While the table was away".to_owned());
    world.edit_one(Peer::App, "c00001", "full_name", "While the table was away");
    world.run(&["sync"]).assert(1, &["billing", "customers", "not in agreement"]);
    super::row::assert_equal("crm", &world.rows(Peer::Crm), &rows);
    world.billing("ALTER TABLE moved RENAME TO customers");
    world.sync();
    world.assert_all(&rows);

    world.app().execute_batch("DROP TABLE customers").unwrap();
    world.edit_one(Peer::Billing, "c00002", "name", "While the app was empty");
    world.run(&["sync"]).assert(1, &["app", "customers", "not in agreement"]);
    assert_eq!(world.rows(Peer::Billing).len(), rows.len());
    assert_eq!(world.rows(Peer::Crm)["c00002"].name.as_deref(), Some("While the app was empty"));
}

#[test]
fn a_bad_row_waits_in_quarantine_and_the_others_go_on() {
    let (world, mut rows) = World::synced(20);
    // SQLite keeps a text in an integer column.
    world.app().execute("UPDATE customers SET credit = 'many' WHERE code = 'c00001'", []).unwrap();
    rows.get_mut("c00002").unwrap().name = Some("A good edit".to_owned());
    world.edit_one(Peer::App, "c00002", "full_name", "A good edit");
    let synced = world.json(&["sync"]);
    assert_eq!(synced["quarantined"], 1, "{synced}");
    for place in [Peer::Billing, Peer::Crm] {
        super::row::assert_equal(place.name(), &world.rows(place), &rows);
    }
    world.run(&["quarantine", "list"]).assert(0, &["app", "credit"]);

    // Repaired at the source, it is taken, and the question closes by itself.
    world.app().execute("UPDATE customers SET credit = 77 WHERE code = 'c00001'", []).unwrap();
    rows.get_mut("c00001").unwrap().credit = 77;
    world.sync();
    world.assert_all(&rows);
    let open = world.json(&["quarantine", "list"]);
    let items = open.as_array().or_else(|| open["items"].as_array()).map(Vec::len);
    assert_eq!(items, Some(0), "{open}");
    world.assert_quiet();
    world.assert_history();
}

#[test]
fn a_full_disk_loses_nothing() {
    let rows: Rows = (0..1_000).map(|n| (format!("c{n:05}"), Row::nth(n))).collect();
    let world = World::new();
    for place in Peer::ALL {
        world.fill(place, &rows);
    }
    let full = SmallDisk::mount(&world.path("small"), 1 << 20);
    let ran = match &full {
        Some(disk) => {
            let url = format!("sqlite:{}", disk.0.join("avowal.db").display());
            world.reconfigure("sqlite:avowal.db", &url);
            world.run(&["sync"])
        }
        None => limited(&world, 1 << 20),
    };
    println!("{ran}");
    ran.assert(1, &["store"]);
    // Room is made: the same store goes on where it stood.
    if let Some(disk) = &full {
        disk.grow(256 << 20);
    }
    world.sync();
    world.assert_all(&rows);
    world.assert_quiet();
    world.assert_history();
}

#[test]
fn a_read_only_file_is_named() {
    let (world, mut rows) = World::synced(20);
    let Some(as_nobody) = Unprivileged::over(&world) else { return };
    // The app's file may be read, not written: the others go on.
    as_nobody.read_only("app.db");
    rows.get_mut("c00001").unwrap().name = Some("Edited in billing".to_owned());
    world.edit_one(Peer::Billing, "c00001", "name", "Edited in billing");
    let ran = as_nobody.run(&["sync"]);
    println!("{ran}");
    ran.assert(5, &["app", "not in agreement"]);
    super::row::assert_equal("crm", &world.rows(Peer::Crm), &rows);
    as_nobody.writable("app.db");
    as_nobody.run(&["sync"]).assert(0, &[]);
    world.assert_all(&rows);

    as_nobody.read_only("avowal.db");
    let ran = as_nobody.run(&["sync"]);
    println!("{ran}");
    ran.assert(1, &["store", "avowal.db"]);
    as_nobody.writable("avowal.db");
    world.assert_quiet();
    world.assert_history();
}

/// A small file system in memory, where we may mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(place: &Path, bytes: u64) -> Option<Self> {
        std::fs::create_dir(place).unwrap();
        let size = format!("size={bytes}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(place).output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        println!("a small disk: {}", if mounted { "tmpfs" } else { "a limit on the size of files" });
        mounted.then(|| Self(place.to_owned()))
    }

    fn grow(&self, bytes: u64) {
        let size = format!("remount,size={bytes}");
        assert!(Command::new("mount").args(["-o", &size]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The binary under a limit on the size of the files it writes: the next best thing to a full disk.
fn limited(world: &World, bytes: u64) -> Ran {
    let inner = world.command(&["sync"]);
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", bytes / 1024)]);
    shell.arg(inner.get_program()).args(inner.get_args());
    shell.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ran::of(shell.output().unwrap())
}

/// The binary without the rights that make root ignore permissions.
struct Unprivileged<'w> {
    world: &'w World,
    is_root: bool,
}

impl<'w> Unprivileged<'w> {
    /// `None` where even nobody could not reach the binary.
    fn over(world: &'w World) -> Option<Self> {
        let folder = world.path("");
        let is_root = std::fs::metadata(&folder).unwrap().uid() == 0;
        let this = Self { world, is_root };
        if is_root {
            std::os::unix::fs::chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
            for entry in std::fs::read_dir(&folder).unwrap() {
                std::os::unix::fs::chown(entry.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let reachable = this.command(&["--version"]).output().is_ok_and(|output| output.status.success());
        if !reachable {
            println!("the binary cannot be run by nobody here; nothing is tested");
        }
        reachable.then_some(this)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command(arguments);
        if self.is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    fn read_only(&self, name: &str) {
        self.permit(name, 0o444);
    }

    fn writable(&self, name: &str) {
        self.permit(name, 0o666);
    }

    fn permit(&self, name: &str, mode: u32) {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.world.path(name), permissions).unwrap();
    }
}
