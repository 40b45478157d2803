use std::sync::Arc;

use axum::{Json, extract::State};
use tazune_link::{
    envelope::{Envelope, Refusal, check_at_front},
    front_api::{EnvelopeResult, EnvelopesAnswer, EnvelopesRequest, HandIn},
};
use tazune_model::{Bytes, RecordId};

use super::{
    Shared,
    api::{Body, Failed},
    peer::ActiveDevice,
};
use crate::store::NewEnvelope;

/// `POST /v1/envelopes`: takes a batch; what is answered `received` is on the disk.
///
/// A refused envelope does not hold up the others of its batch.
pub(super) async fn post(
    State(shared): State<Arc<Shared>>,
    device: ActiveDevice,
    Body(request): Body<EnvelopesRequest>,
) -> Result<Json<EnvelopesAnswer>, Failed> {
    let checked: Vec<_> = request.envelopes.iter().map(|envelope| check(envelope, &device)).collect();
    let good: Vec<NewEnvelope> = checked.iter().filter_map(|check| check.as_ref().ok().cloned()).collect();
    let mut stored = shared.store.receive(good, shared.clock.now()).await?.into_iter();
    let mut result = |check: Result<NewEnvelope, Refused>| {
        let (record_id, result) = match check {
            Ok(envelope) => (Some(envelope.record_id), stored.next().unwrap_or(HandIn::Refused(Refusal::Malformed))),
            Err(Refused { record_id, refusal }) => (record_id, HandIn::Refused(refusal)),
        };
        if let HandIn::Refused(refusal) = result {
            tracing::warn!(device = %device.id, code = %refusal.failure_code(), %refusal, "envelope refused");
        }
        EnvelopeResult { record_id, result }
    };
    let results: Vec<_> = checked.into_iter().map(&mut result).collect();
    if results.iter().any(|result| result.result == HandIn::Received) {
        shared.work.ring();
    }
    Ok(Json(EnvelopesAnswer { results }))
}

struct Refused {
    record_id: Option<RecordId>,
    refusal: Refusal,
}

fn check(envelope: &Envelope, device: &ActiveDevice) -> Result<NewEnvelope, Refused> {
    let header = check_at_front(envelope, &device.tenant, &device.id, &device.key)
        .map_err(|refusal| Refused { record_id: envelope.header().ok().map(|header| header.record_id), refusal })?;
    Ok(NewEnvelope {
        record_id: header.record_id,
        device: header.device,
        sha256: envelope.sha256(),
        sealed: Bytes(envelope.to_bytes()),
    })
}
