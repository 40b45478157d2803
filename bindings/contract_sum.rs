use std::{fs, io, path::Path};

/// A sum over the façade's sources, which lie in `folder`; the library and the generator of its Kotlin and Swift each make it.
pub(crate) fn contract_sum(folder: &Path) -> io::Result<String> {
    let entries: Result<Vec<_>, _> = fs::read_dir(folder)?.collect();
    let mut files: Vec<_> = entries?.into_iter().map(|entry| entry.path()).collect();
    files.sort();
    // FNV-1a: it only has to notice.
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for file in files {
        for byte in fs::read(file)? {
            sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    Ok(format!("{sum:016x}"))
}
