use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this crate lies two folders below the root")
        .to_path_buf()
}

/// The files of the repository and those about to be added, relative to the root, whose names end with `ending`.
pub(crate) fn files(ending: &str) -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git is needed to know which files belong to the project");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("file names of this project are UTF-8");
    // A file that was removed and not yet committed is still listed.
    names.split_terminator('\0').filter(|f| f.ends_with(ending) && root().join(f).is_file()).map(Into::into).collect()
}
