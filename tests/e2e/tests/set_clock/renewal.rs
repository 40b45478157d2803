//! A device's certificate lasts 90 days; from day 60 each delivery asks for a new one with the same key.

use std::time::Duration;

use jiff::SignedDuration;
use rusqlite::Connection;
use tazune_model::FailureCode;

use crate::scene::{Clinic, Role, Tablet};

const WAIT: Duration = Duration::from_secs(10);

fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_from_day_sixty_on_also_long_after_its_end() {
    let clinic = Clinic::open().await;
    for (day, left) in [(59, 31), (60, 90), (89, 90), (91, 90), (400, 90)] {
        let tablet = clinic.paired().await;
        assert_eq!(tablet.days_left(&clinic).await, 90);
        let key = tablet.device.pairing().await.unwrap();
        clinic.pass(days(day), &[&tablet]);
        for _ in 0..2 {
            tablet.device.deliver_now(WAIT).await.unwrap();
            assert_eq!(tablet.days_left(&clinic).await, left, "day {day}");
        }
        let renewed = tablet.device.pairing().await.unwrap();
        assert_eq!(renewed.device_id, key.device_id);
        let is_changed = renewed.settings.gateway.client_certificates != key.settings.gateway.client_certificates;
        assert_eq!(is_changed, left == 90, "the gateway's comes with it");
    }
    let entries = clinic.audited(|_| true).await;
    assert_eq!(entries.iter().filter(|entry| entry["event"] == "certificate_renewed").count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_desk_or_gateway_the_old_ones_stay_and_it_is_asked_again() {
    let mut clinic = Clinic::open().await;
    let tablet = clinic.paired().await;
    clinic.pass(days(60), &[&tablet]);
    clinic.stop(Role::Desk).await;
    tablet.device.deliver_now(Duration::from_secs(1)).await.unwrap();
    assert_eq!(tablet.days_left(&clinic).await, 30, "the desk is off at night");
    clinic.stop(Role::Front).await;
    tablet.device.deliver_now(Duration::from_secs(1)).await.expect_err("nobody answers");
    clinic.gateway.set_reachable(false);
    clinic.start(Role::Front).await;
    clinic.start(Role::Desk).await;
    let before = tablet.device.pairing().await.unwrap();
    tablet.device.deliver_now(Duration::from_secs(20)).await.unwrap();
    assert_eq!(tablet.days_left(&clinic).await, 90);
    let after = tablet.device.pairing().await.unwrap();
    assert_eq!(after.settings, before.settings, "the gateway gave none");
}

/// The device was killed between the answer and its commit: here, the answer was for a question that was given up.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_given_again() {
    let clinic = Clinic::open().await;
    let tablet = clinic.paired().await;
    clinic.pass(days(60), &[&tablet]);
    tablet.device.deliver_now(Duration::ZERO).await.unwrap();
    clinic.audited(|entry| entry["event"] == "certificate_renewed").await;
    while tablet.days_left(&clinic).await < 90 {
        tablet.device.deliver_now(WAIT).await.unwrap();
    }
    let entries = clinic.audited(|_| true).await;
    let renewed = entries.iter().filter(|entry| entry["event"] == "certificate_renewed").count();
    assert_eq!(renewed, 1, "the first answer was kept for it");
}

fn forget(clinic: &Clinic, tablet: &str) {
    let desk = Connection::open(clinic.folder_of(Role::Desk).join("desk.sqlite")).unwrap();
    assert_eq!(desk.execute("DELETE FROM device WHERE device = ?1", [tablet]).unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_persons_matter_only_when_the_certificate_has_run_out() {
    let clinic = Clinic::open().await;
    let tablet: Tablet = clinic.paired().await;
    forget(&clinic, tablet.device.pairing().await.unwrap().device_id.as_str());
    clinic.pass(days(60), &[&tablet]);
    tablet.device.deliver_now(WAIT).await.unwrap();
    assert_eq!(tablet.device.queue().await.unwrap().last_failure, None);
    clinic.pass(days(31), &[&tablet]);
    for _ in 0..2 {
        let error = tablet.device.deliver_now(WAIT).await.unwrap_err();
        assert_eq!(error.failure_code(), FailureCode::from_code("TZ-H12").unwrap());
        assert_eq!(tablet.device.queue().await.unwrap().last_failure, FailureCode::from_code("TZ-H12"));
    }
}
