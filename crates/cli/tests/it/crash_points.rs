//! A sync that dies at its n-th named point, for every n (`AVOWAL_E2E_FULL=1`) or a sample of them: nothing lost, nothing doubled, the history whole.
//!
//! The child is this test binary itself, which runs [`the_child`] with a folder and a number in its environment and
//! aborts there: no destructor runs, no buffer is flushed. Then it begins again, dies once more at another point, and is
//! left to end. The store and both systems are real SQLite files.

mod points;
mod scene;

use points::Points;
use scene::Scene;
use std::path::Path;
use std::process::{Command, Stdio};

const FOLDER: &str = "AVOWAL_CRASH_FOLDER";
const AT: &str = "AVOWAL_CRASH_AT";
const SEED: &str = "AVOWAL_CRASH_SEED";

/// More points than any of these runs has; a run that gets there does not end.
const POINTS_MAX: u64 = 2_000;
/// How long one run may take; a run that takes longer hangs.
const RUN_S_MAX: u64 = 60;

/// How a child ended.
#[derive(PartialEq, Eq, Debug)]
enum Ended {
    Completed,
    Died,
}

#[test]
fn a_sync_that_dies_anywhere_goes_on_where_it_was() {
    let full = std::env::var_os("AVOWAL_E2E_FULL").is_some();
    // Every point of twenty seeds takes half an hour; by default each seed begins at another point and takes big steps.
    let (seeds, step) = if full { (20, 1) } else { (3, 18) };
    for seed in 1..=seeds {
        let mut died = 0;
        let first = if full { 1 } else { 6 * seed };
        for at in (first..POINTS_MAX).step_by(step) {
            let folder = tempfile::tempdir().unwrap();
            let scene = Scene::new(folder.path(), seed);
            scene.fill();
            if child(folder.path(), seed, at) == Ended::Completed {
                break;
            }
            died += 1;
            // It dies again while it puts in order what the first death left, unless it is done before.
            let _ = child(folder.path(), seed, 1 + at % 7);
            assert_eq!(child(folder.path(), seed, 0), Ended::Completed, "seed {seed}, point {at}");
            scene.assert_in_order(&format!("seed {seed}, died at {}", point(folder.path())));
        }
        println!("seed {seed}: {died} points");
        assert!(died >= if full { 20 } else { 2 }, "seed {seed}: only {died} points");
    }
}

/// Where the child died last.
fn point(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("point")).unwrap_or_default()
}

/// Runs the child until it ends or dies at its `at`-th point; 0 lets it live.
fn child(folder: &Path, seed: u64, at: u64) -> Ended {
    let mut running = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash_points::the_child", "--nocapture", "--test-threads", "1"])
        .env(FOLDER, folder)
        .env(AT, at.to_string())
        .env(SEED, seed.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..RUN_S_MAX * 100 {
        if let Some(status) = running.try_wait().unwrap() {
            return match (status.success(), status.code()) {
                (true, _) => Ended::Completed,
                // Ended by a signal: it died as it was told.
                (false, None) => Ended::Died,
                (false, Some(code)) => panic!("seed {seed}, point {at}: it failed by itself with {code}"),
            };
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    running.kill().unwrap();
    running.wait().unwrap();
    panic!("seed {seed}, point {at}: it did not end within {RUN_S_MAX} s");
}

/// What the child does. Run as a test of its own it has nothing to do.
#[test]
fn the_child() {
    let (Ok(folder), Ok(at), Ok(seed)) = (std::env::var(FOLDER), std::env::var(AT), std::env::var(SEED))
    else {
        return;
    };
    let scene = Scene::new(Path::new(&folder), seed.parse().unwrap());
    scene.play(Points::new(Path::new(&folder), at.parse().unwrap()));
}
