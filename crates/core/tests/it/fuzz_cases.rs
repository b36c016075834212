//! How many cases a fuzz target tries: `AVOWAL_FUZZ_CASES`, else `PROPTEST_CASES`, else few.

use proptest::prelude::ProptestConfig;

/// The settings of a fuzz target that tries `usual` cases by default.
#[allow(clippy::disallowed_methods, reason = "a longer run is asked for from outside")]
pub fn fuzz(usual: u32) -> ProptestConfig {
    let asked = std::env::var("AVOWAL_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok());
    let known = std::env::var_os("PROPTEST_CASES").map(|_| ProptestConfig::default().cases);
    ProptestConfig {
        cases: asked.or(known).unwrap_or(usual),
        // A failing input is printed and becomes a test; no files beside the tests.
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
