use std::io::{self, Write};

/// Writes a line to standard output at once; a reader that went away is an error, not a panic.
pub(super) fn line(text: impl AsRef<str>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_ref().as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Reads a line of standard input without its end; `None` when the input has ended.
pub(super) async fn read_line() -> io::Result<Option<String>> {
    let read = || {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|count| (count > 0).then(|| line.trim_end().to_owned()))
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
}

/// Reads a line of standard input: whether it says yes. The end of the input says no.
pub(super) async fn read_yes() -> io::Result<bool> {
    let line = read_line().await?;
    Ok(line.is_some_and(|line| matches!(line.trim(), "y" | "Y" | "yes" | "ｙ" | "はい")))
}
