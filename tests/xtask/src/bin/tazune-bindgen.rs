//! Generates the Kotlin or Swift code of the façade from its unstripped library: `tazune-bindgen LIBRARY kotlin|swift FOLDER`.
//!
//! Beside it lies a file with the contract that the generated code was made of; the app gives it to `check_library`. Swift comes as
//! two folders, as its package manager wants the two modules.

use std::{env, error::Error, fs, path::Path};

#[path = "../../../../bindings/contract_sum.rs"]
mod contract_sum;

use uniffi_bindgen::bindings::{GenerateOptions, TargetLanguage, generate};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [library, language, folder] = arguments.as_slice() else {
        return Err("usage: tazune-bindgen LIBRARY kotlin|swift FOLDER".into());
    };
    let target = match language.as_str() {
        "kotlin" => TargetLanguage::Kotlin,
        "swift" => TargetLanguage::Swift,
        other => return Err(format!("{other}: not a language of the apps").into()),
    };
    generate(GenerateOptions {
        languages: vec![target.clone()],
        source: library.as_str().into(),
        out_dir: folder.as_str().into(),
        metadata_no_deps: true,
        ..GenerateOptions::default()
    })?;
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bindings/src");
    // One version for the workspace, and so for the library.
    let contract = format!("{}+{}", env!("CARGO_PKG_VERSION"), contract_sum::contract_sum(&sources)?);
    let folder = Path::new(folder);
    if let TargetLanguage::Kotlin = target {
        let text = format!(
            "package tazune\n\n/** What this code was generated from. */\nconst val CONTRACT = \"{contract}\"\n"
        );
        fs::write(folder.join("tazune/Contract.kt"), text)?;
        return Ok(());
    }
    let (code, header) = (folder.join("Tazune"), folder.join("TazuneFFI"));
    fs::create_dir_all(&code)?;
    fs::create_dir_all(header.join("include"))?;
    let text = format!("/// What this code was generated from.\npublic let contract = \"{contract}\"\n");
    fs::write(code.join("Contract.swift"), text)?;
    fs::rename(folder.join("Tazune.swift"), code.join("Tazune.swift"))?;
    fs::rename(folder.join("TazuneFFI.h"), header.join("include/TazuneFFI.h"))?;
    fs::rename(folder.join("TazuneFFI.modulemap"), header.join("include/module.modulemap"))?;
    // Without a source it would be no module to build.
    fs::write(header.join("empty.c"), "")?;
    Ok(())
}
