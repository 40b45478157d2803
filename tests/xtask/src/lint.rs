use crate::suites;

/// Runs the suites that judge the sources without running them; `true` when all passed.
pub(crate) fn lint() -> bool {
    suites::test(&suites::Options::only(&["format", "house", "clippy", "deny"]))
}
