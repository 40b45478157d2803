use std::{collections::BTreeSet, convert::Infallible, sync::Arc};

use axum::{extract::State, http::StatusCode};

use super::Shared;
use crate::{
    health::{Ailment, LOOK_EVERY},
    ops,
    store::{CHECK_EVERY, FrontPulse, StoreError, damage},
    telemetry::seconds,
};

/// The states whose devices are counted also when there are none.
const STATES: [&str; 3] = ["active", "suspended", "revoked"];

/// `GET /healthz`: whether the front is well, for anybody; nothing else is said.
pub(super) async fn get(State(shared): State<Arc<Shared>>) -> StatusCode {
    ops::status(shared.health.is_well())
}

/// Looks after the front until its database turns out to be damaged.
pub(super) async fn watch(shared: &Shared) -> StoreError {
    let looking = async {
        loop {
            look(shared).await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let checking = async {
        loop {
            if let Some(damage) = damage(shared.store.check().await) {
                return damage;
            }
            tokio::time::sleep(CHECK_EVERY).await;
        }
    };
    tokio::select! {
        damage = checking => damage,
        never = looking => {
            let never: Infallible = never;
            match never {}
        }
    }
}

async fn look(shared: &Shared) {
    let mut ailments = BTreeSet::new();
    ailments.extend(shared.disk.look().failure_code().map(Ailment::DiskNearlyFull));
    match shared.store.pulse().await {
        Ok(pulse) => tell(&pulse, shared),
        Err(error) => {
            tracing::error!(code = %error.failure_code(), %error, "the front's store cannot be written");
            ailments.insert(Ailment::StoreUnwritable);
        }
    }
    shared.health.looked(ailments);
}

fn tell(pulse: &FrontPulse, shared: &Shared) {
    let FrontPulse { waiting, oldest_received_at, devices, size } = pulse;
    metrics::gauge!("tazune_waiting_envelopes").set(f64::from(*waiting));
    let age = oldest_received_at.map(|at| shared.clock.now().duration_since(at));
    metrics::gauge!("tazune_waiting_envelopes_oldest_seconds").set(seconds(age));
    let counted = |state: &str| devices.iter().find(|(name, _)| name == state).map_or(0, |(_, count)| *count);
    for state in STATES {
        metrics::gauge!("tazune_devices", "state" => state).set(f64::from(counted(state)));
    }
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a floating-point number")]
    metrics::gauge!("tazune_database_bytes", "role" => "front").set(*size as f64);
}
