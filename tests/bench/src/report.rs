use std::{fmt::Write as _, thread};

use crate::stopwatch::Samples;

/// One line of the table; every cell is ready to print.
pub(crate) struct Row {
    pub(crate) metric: String,
    pub(crate) ours: String,
    pub(crate) reference: String,
    pub(crate) ratio: String,
    pub(crate) target: String,
}

/// The table, the machine, and what stands behind the numbers.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

const NOTES: &str = include_str!("notes.md");

impl Report {
    pub(crate) fn extend(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }

    pub(crate) fn to_markdown(&self) -> String {
        let mut text = String::from(
            "# Numbers to hold\n\n| metric | ours | reference | ratio | target |\n|---|---|---|---|---|\n",
        );
        for Row { metric, ours, reference, ratio, target } in &self.rows {
            writeln!(text, "| {metric} | {ours} | {reference} | {ratio} | {target} |").expect("text takes all");
        }
        let cores = thread::available_parallelism().map_or("unknown number of".into(), |cores| cores.to_string());
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        write!(text, "\nMachine: {cores} cores, {os} {arch}.\n\n{NOTES}").expect("text takes all");
        text
    }
}

/// The line of something that could not be measured here, and why.
pub(crate) fn not_run(metric: &str, why: &str) -> Row {
    let [none, blank, target] = ["–"; 3].map(Into::into);
    // A bar would end the cell, and so would a line.
    let why = why.replace('|', "/").replace('\n', " ");
    Row { metric: metric.into(), ours: none, reference: format!("not run: {why}"), ratio: blank, target }
}

/// Median and 99th percentile, as the table shows them.
pub(crate) fn p50_p99(samples: &Samples) -> String {
    format!("p50 {:.3} ms, p99 {:.3} ms", samples.percentile_ms(50), samples.percentile_ms(99))
}

/// `ours / reference`, as the table shows it.
pub(crate) fn ratio(ours: f64, reference: f64) -> String {
    format!("{:.3}", ours / reference)
}
