use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use tazune_link::{
    audit::PairingRefusal,
    front_api::{ApiError, HelloRefused, PairingAnswer},
    pairing::{FINISH_WITHIN, SealedHello, SessionId},
};

use super::{
    Shared,
    api::{Body, Failed, Session, Wait},
};
use crate::store::FrontPairing;

/// `POST /v1/pairing/{session}`: the first hello is kept for the desk; the same again is taken again.
pub(super) async fn hello(
    State(shared): State<Arc<Shared>>,
    Session(session): Session,
    Body(hello): Body<SealedHello>,
) -> Result<StatusCode, Failed> {
    let pairing = find(&shared, &session).await?;
    match &pairing.hello {
        None if shared.clock.now() > pairing.expires_at => {
            return Err(refuse(&shared, session, PairingRefusal::Expired).await);
        }
        None => {}
        Some(first) if *first == hello => return Ok(StatusCode::ACCEPTED),
        Some(_) => return Err(refuse(&shared, session, PairingRefusal::Taken).await),
    }
    let kept = shared.store.put_hello(&session, &hello).await?.ok_or(ApiError::PairingUnknown)?;
    if kept != hello {
        return Err(refuse(&shared, session, PairingRefusal::Taken).await);
    }
    shared.work.ring();
    Ok(StatusCode::ACCEPTED)
}

/// `GET /v1/pairing/{session}`: what the clinic has decided; waits for a decision.
pub(super) async fn state(
    State(shared): State<Arc<Shared>>,
    Session(session): Session,
    Wait(wait): Wait,
) -> Result<Json<PairingAnswer>, Failed> {
    let mut news = shared.pairings.listen(wait, &shared.stopping);
    loop {
        let pairing = find(&shared, &session).await?;
        if let Some(decided) = decision(&shared, pairing) {
            return Ok(Json(decided));
        }
        if !news.rang().await {
            return Ok(Json(PairingAnswer::Waiting));
        }
    }
}

/// Turns a hello down, and leaves word for the desk's audit.
async fn refuse(shared: &Shared, session: SessionId, reason: PairingRefusal) -> Failed {
    tracing::warn!(%session, reason = reason.word(), "pairing refused");
    let is_taken = reason == PairingRefusal::Taken;
    if let Err(error) = shared.store.refuse_hello(&HelloRefused { session, reason }).await {
        return error.into();
    }
    shared.work.ring();
    if is_taken { ApiError::PairingTaken.into() } else { ApiError::PairingExpired.into() }
}

async fn find(shared: &Shared, session: &SessionId) -> Result<FrontPairing, Failed> {
    Ok(shared.store.pairing(session).await?.ok_or(ApiError::PairingUnknown)?)
}

/// The end of a session, if it has come: by the desk's word, or because nobody can finish it any more.
fn decision(shared: &Shared, pairing: FrontPairing) -> Option<PairingAnswer> {
    match pairing.answer {
        Some(PairingAnswer::Waiting) | None => {}
        decided => return decided,
    }
    let end = match pairing.hello {
        None => pairing.expires_at,
        Some(_) => pairing.expires_at.checked_add(FINISH_WITHIN).unwrap_or(pairing.expires_at),
    };
    (shared.clock.now() > end).then_some(PairingAnswer::Expired)
}
