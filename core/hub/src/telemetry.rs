//! What the hub counts about itself; no label names a person, a record or a device.
//!
//! | kind | labels come from |
//! |---|---|
//! | `path` | the routes of the front's API as they are written, such as `/v1/pairing/{session}` |
//! | `status` | HTTP statuses |
//! | `reason`, `outcome`, `state` | words of the vocabulary |
//! | `role`, `folder` | `front`, `desk`, `face` |
//!
//! The book's page `docs/src/operation.md` explains each; a test compares.

use std::{sync::OnceLock, time::Duration};

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Serialize;
use tokio::time::Instant;

/// Every measure, and what it tells.
pub const MEASURES: &[(&str, &str)] = &[
    ("tazune_healthy", "1 while a role is well, as /healthz says it"),
    ("tazune_envelopes_received_total", "Envelopes that the front took"),
    ("tazune_envelopes_refused_total", "Envelopes that the front refused, by reason"),
    ("tazune_waiting_envelopes", "Envelopes at the front without a receipt"),
    ("tazune_waiting_envelopes_oldest_seconds", "Age of the oldest of them"),
    ("tazune_records_accepted_total", "Records that the desk accepted"),
    ("tazune_records_quarantined_total", "Envelopes that the desk set aside, by reason"),
    ("tazune_receipts_total", "Receipts that the desk handed to the front"),
    ("tazune_waiting_face_files", "Face files that are not in the folder yet"),
    ("tazune_waiting_face_files_oldest_seconds", "Age of the oldest of them"),
    ("tazune_devices", "Devices registered at the front, by state"),
    ("tazune_pairings_total", "Pairings that ended, by outcome"),
    ("tazune_database_bytes", "Bytes of a role's database on the disk"),
    ("tazune_disk_free_bytes", "Free bytes of the disk under a folder"),
    ("tazune_disk_nearly_full", "1 while that disk is nearly full"),
    ("tazune_front_last_success_seconds", "Unix time of the front's last good answer to the desk"),
    ("tazune_tls_handshakes_failed_total", "TLS handshakes at the front that failed"),
    ("tazune_http_requests_total", "Requests that the front answered, by path and status"),
    ("tazune_http_request_seconds", "Time until the front's answer, waiting for news included, by path"),
];

/// Upper limits of the histogram, in seconds; a long-poll takes up to 25.
const SECONDS: &[f64] = &[0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 30.0];

/// Everything that was counted since it was installed.
#[derive(Clone)]
pub struct Telemetry(PrometheusHandle);

impl Telemetry {
    /// Counts from now on; before, and in a process that never calls it, nothing is counted.
    pub fn install() -> Self {
        static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
        let handle = INSTALLED.get_or_init(|| {
            let recorder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_request_seconds".into()), SECONDS)
                .expect("there are limits")
                .build_recorder();
            let handle = recorder.handle();
            // Another recorder would be another part of this program, and there is none.
            let _ = metrics::set_global_recorder(recorder);
            for (name, help) in MEASURES {
                match *name {
                    name if name.ends_with("_total") => metrics::describe_counter!(name, *help),
                    name if name.ends_with("_request_seconds") => metrics::describe_histogram!(name, *help),
                    name => metrics::describe_gauge!(name, *help),
                }
            }
            handle
        });
        Self(handle.clone())
    }

    /// In the text format of Prometheus.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }
}

/// The word that stands in the JSON of a value of the vocabulary.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "other".into(),
    }
}

/// An age as a measure.
pub(crate) fn seconds(age: Option<jiff::SignedDuration>) -> f64 {
    age.map_or(0.0, |age| Duration::try_from(age).unwrap_or_default().as_secs_f64())
}

/// Counts a request of the front under its route; what is no route of the API counts as `other`.
pub(crate) async fn count_request(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let began = Instant::now();
    let response = next.run(request).await;
    metrics::histogram!("tazune_http_request_seconds", "path" => path.clone()).record(began.elapsed().as_secs_f64());
    let status = response.status().as_u16().to_string();
    metrics::counter!("tazune_http_requests_total", "path" => path, "status" => status).increment(1);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_book_explains_every_measure_and_no_other() {
        let book = include_str!("../../../docs/src/operation.md");
        let rows = book.lines().filter_map(|line| line.strip_prefix("| `tazune_")?.split('`').next());
        let explained: Vec<_> = rows.map(|name| format!("tazune_{name}")).collect();
        assert_eq!(explained.len(), MEASURES.len());
        for (name, _) in MEASURES {
            assert!(explained.iter().any(|row| row == name), "{name}");
        }
    }
}
