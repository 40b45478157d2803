//! What strace wrote: which calls had returned before which others began.
//!
//! Threads are traced together, so a call may be written in two lines (`<unfinished ...>`, `resumed`). A call *begins* at the
//! line of its first half and has *returned* at the line of its second; between lines nothing is assumed.

use std::collections::HashMap;

/// One call of the program, as far as it is judged here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// Arguments as strace writes them, descriptors with their path or their socket's two ends.
    pub(crate) arguments: String,
    pub(crate) succeeded: bool,
    /// The line it begins at.
    pub(crate) began: usize,
    /// The line it has returned at.
    pub(crate) returned: usize,
}

impl Call {
    /// Whether it is about a file whose path ends so.
    pub(crate) fn is_on(&self, end: &str) -> bool {
        self.arguments.split(['<', '>', '"', ',']).any(|part| part.ends_with(end))
    }

    pub(crate) fn is_sync(&self) -> bool {
        self.succeeded && ["fsync", "fdatasync"].contains(&self.name.as_str())
    }

    pub(crate) fn is_write(&self) -> bool {
        ["write", "writev", "pwrite64", "pwritev", "sendto", "sendmsg"].contains(&self.name.as_str())
    }

    /// Whether it puts bytes on a network connection.
    pub(crate) fn is_sent(&self) -> bool {
        self.is_write() && self.arguments.split_once(',').is_some_and(|(to, _)| to.contains("<TCP"))
    }
}

/// Reads the log of `strace -f -yy`; calls that never returned are left out.
pub(crate) fn read(log: &str) -> Vec<Call> {
    let mut open = HashMap::<&str, (usize, String)>::new();
    let mut calls = Vec::new();
    for (at, line) in log.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            open.insert(thread, (at, begun.to_owned()));
            continue;
        }
        let (began, text) = match rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, end)) => {
                let Some((began, begun)) = open.remove(thread) else { continue };
                (began, begun + end)
            }
            None => (at, rest.to_owned()),
        };
        calls.extend(call(&text, began, at));
    }
    calls.sort_by_key(|call| call.began);
    calls
}

fn call(text: &str, began: usize, returned: usize) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let name = name.to_owned();
    let succeeded = !result.starts_with('-') && !result.starts_with('?');
    Some(Call { name, arguments: arguments.trim_end().to_owned(), succeeded, began, returned })
}

/// The sync that covers the first write of `needle` into the file `end`: the first that begins after it on that file.
///
/// # Errors
/// What is missing.
pub(crate) fn covering_sync<'a>(calls: &'a [Call], end: &str, needle: &str) -> Result<(&'a Call, &'a Call), String> {
    let is_it = |call: &&Call| call.is_write() && call.is_on(end) && call.arguments.contains(needle);
    let write = calls.iter().find(is_it).ok_or_else(|| format!("{needle} is never written to {end}"))?;
    let is_covering = |call: &&Call| call.is_sync() && call.is_on(end) && call.began > write.returned;
    let sync = calls.iter().find(is_covering).ok_or_else(|| format!("{needle} in {end} is never synced"))?;
    Ok((write, sync))
}

/// Checks that no call that `tells` begins between the write of `needle` and the return of its sync, and that one does then.
///
/// # Errors
/// What is wrong.
pub(crate) fn is_told_after_sync(
    calls: &[Call],
    end: &str,
    needle: &str,
    tells: impl Fn(&Call) -> bool,
) -> Result<(), String> {
    let (write, sync) = covering_sync(calls, end, needle)?;
    let telling: Vec<_> = calls.iter().filter(|call| tells(call) && call.began > write.began).collect();
    if let Some(early) = telling.iter().find(|call| call.began < sync.returned) {
        return Err(format!("told at line {} and synced at line {}: {early:?}", early.began + 1, sync.returned + 1));
    }
    if telling.is_empty() { Err(format!("{needle} is never told")) } else { Ok(()) }
}

/// What is looked for, and how it is told.
pub(crate) type Wanted<'a> = (&'a str, &'a dyn Fn(&Call) -> bool);

/// Finds calls one after the other, each beginning after the one before returned.
///
/// # Errors
/// The first that is missing.
pub(crate) fn in_order(calls: &[Call], steps: &[Wanted<'_>]) -> Result<(), String> {
    let mut after = 0;
    for (what, is_it) in steps {
        let found = calls.iter().find(|call| call.succeeded && call.began >= after && is_it(call));
        after = found.ok_or_else(|| format!("after line {after} there is no {what}"))?.returned + 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
11 pwrite64(9</d/device.db-wal>, \"id-1 sealed\", 11, 0) = 11
12 write(7<socket>, \"x\", 1 <unfinished ...>
11 fsync(9</d/device.db-wal> <unfinished ...>
12 <... write resumed>) = 1
11 <... fsync resumed>) = 0
12 write(1<pipe:[5]>, \"{\\\"sealed\\\":\\\"id-1\\\"}\", 20) = 20
";

    fn judged(log: &str) -> Result<(), String> {
        is_told_after_sync(&read(log), "device.db-wal", "id-1", |call| {
            call.arguments.starts_with("1<") && call.arguments.contains("sealed")
        })
    }

    #[test]
    fn a_line_that_is_told_after_the_sync_returned_is_right() {
        assert_eq!(judged(GOOD), Ok(()));
    }

    #[test]
    fn a_sync_that_is_late_absent_failed_or_elsewhere_is_found() {
        let lines: Vec<_> = GOOD.lines().collect();
        let log = |order: &[usize]| order.iter().map(|at| lines[*at]).collect::<Vec<_>>().join("\n");
        let wrong = [
            ("absent", log(&[0, 1, 3, 5])),
            ("after the line", log(&[0, 5, 2, 4])),
            ("under way at the line", log(&[0, 2, 5, 4])),
            ("before the write", log(&[2, 4, 0, 5])),
            ("begun before the write", log(&[2, 0, 4, 5])),
            ("failed", GOOD.replace("fsync resumed>) = 0", "fsync resumed>) = -1 EIO")),
            ("of another file", GOOD.replace("fsync(9</d/device.db-wal>", "fsync(9</d/device.db-shm>")),
            ("and nothing is told", log(&[0, 2, 4])),
        ];
        for (what, log) in wrong {
            assert!(judged(&log).is_err(), "{what}");
        }
    }

    #[test]
    fn steps_out_of_order_are_found() {
        let is = |name: &'static str| move |call: &Call| call.name == name;
        let calls = read("1 fsync(3</a>) = 0\n1 rename(\"a\", \"b\") = 0\n1 fsync(4</>) = 0\n");
        let (fsync, rename) = (is("fsync"), is("rename"));
        assert_eq!(in_order(&calls, &[("sync", &fsync), ("rename", &rename), ("sync", &fsync)]), Ok(()));
        assert!(in_order(&calls, &[("rename", &rename), ("sync", &fsync), ("sync", &fsync)]).is_err());
        assert!(in_order(&calls[1..], &[("sync", &fsync), ("rename", &rename)]).is_err());
    }
}
