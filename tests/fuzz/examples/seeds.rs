//! Writes the samples of every target into a folder of the target's name below the given one, and prints the names.
#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::{env, fs, io, path::PathBuf};

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or(io::ErrorKind::InvalidInput)?);
    for target in tazune_fuzz::TARGETS {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            fs::write(folder.join(format!("sample-{number}")), seed)?;
        }
        println!("{}", target.name);
    }
    Ok(())
}
