//! Gives the façade a contract: a name that is another when its sources are.

use std::{env, path::Path};

mod contract_sum;

fn main() {
    println!("cargo::rerun-if-changed=src");
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("src");
    let sum = contract_sum::contract_sum(&folder).expect("the sources can be read");
    println!("cargo::rustc-env=TAZUNE_CONTRACT={}+{sum}", env::var("CARGO_PKG_VERSION").expect("cargo sets it"));
}
