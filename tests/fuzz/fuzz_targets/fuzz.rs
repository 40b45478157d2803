//! libFuzzer's way in: one program, and `TAZUNE_FUZZ` names the target.
#![no_main]

use std::sync::LazyLock;

use tazune_fuzz::{TARGETS, Target};

static CHOSEN: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("TAZUNE_FUZZ").unwrap_or_default();
    TARGETS.iter().find(|target| target.name == name).expect("TAZUNE_FUZZ names a target")
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| (CHOSEN.run)(data));
