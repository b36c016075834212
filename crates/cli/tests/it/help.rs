//! The words of the command line itself.

use crate::bench::Bench;

#[test]
fn every_command_explains_itself() {
    let commands: &[&[&str]] = &[
        &["init"],
        &["check"],
        &["simulate"],
        &["plan"],
        &["sync"],
        &["run"],
        &["status"],
        &["show"],
        &["timeline"],
        &["why"],
        &["review"],
        &["review", "list"],
        &["review", "show"],
        &["review", "resolve"],
        &["quarantine"],
        &["quarantine", "list"],
        &["quarantine", "show"],
        &["quarantine", "replay"],
        &["history"],
        &["history", "verify"],
        &["history", "rebuild"],
    ];
    let bench = Bench::new();
    for command in commands {
        let ended = bench.avowal(&[command, &["--help"][..]].concat());
        assert_eq!(ended.code, 0, "{command:?}: {}", ended.err);
        assert!(ended.out.contains("--json") && ended.out.contains("--config"), "{command:?}");
        assert!(ended.out.lines().next().is_some_and(|line| line.len() > 10), "{command:?}");
    }
}

#[test]
fn the_first_help_names_all_commands() {
    let ended = Bench::new().avowal(&["--help"]);
    assert_eq!(ended.code, 0);
    for command in [
        "init",
        "check",
        "simulate",
        "plan",
        "sync",
        "run",
        "status",
        "show",
        "timeline",
        "why",
        "review",
        "quarantine",
        "history",
    ] {
        assert!(ended.out.contains(&format!("\n  {command} ")), "{command}");
    }
    assert!(ended.out.contains("Exit codes"));
}

#[test]
fn a_wrong_command_is_bad_usage() {
    let bench = Bench::new();
    assert_eq!(bench.avowal(&["synk"]).code, 2);
    assert_eq!(bench.avowal(&["review", "resolve", "x"]).code, 2);
    assert_eq!(bench.avowal(&["review", "resolve", "x", "--keep", "--delete"]).code, 2);
    assert_eq!(bench.avowal(&["quarantine", "replay"]).code, 2);
}

#[test]
fn init_writes_what_check_accepts_and_never_overwrites() {
    let bench = Bench::new();
    let ended = bench.avowal(&["init"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let ended = bench.avowal(&["check", "--offline"]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    let before = std::fs::read(bench.path("avowal.toml")).unwrap();
    let ended = bench.avowal(&["init"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("exists already"), "{}", ended.err);
    assert_eq!(std::fs::read(bench.path("avowal.toml")).unwrap(), before);
}

#[test]
fn the_examples_are_accepted() {
    for example in [
        "quickstart/avowal",
        "pocketbase/avowal",
        "pocketbase/pair",
        "kinto/avowal",
        "directus/avowal",
        "localstripe/avowal",
    ] {
        let path = format!("{}/../../examples/{example}.toml", env!("CARGO_MANIFEST_DIR"));
        let bench = Bench::with(&std::fs::read_to_string(path).unwrap());
        let billing = match example {
            "localstripe/avowal" => "http://127.0.0.1:8420/v1",
            _ => "postgres://u:p@127.0.0.1/billing",
        };
        let ended = bench.avowal_with(
            &["check", "--offline"],
            &[
                ("AVOWAL_LISTEN", "127.0.0.1:8787"),
                ("CRM_URL", "http://127.0.0.1:8090"),
                ("CRM_USER", "a@b.c"),
                ("CRM_PASSWORD", "p"),
                ("CRM_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
                ("CRM_TOKEN", "t"),
                ("BILLING_KEY", "k"),
                ("BILLING_URL", billing),
            ],
        );
        assert_eq!(ended.code, 0, "{example}: {}{}", ended.out, ended.err);
    }
}
