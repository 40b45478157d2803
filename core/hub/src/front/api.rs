use std::time::Duration;

use axum::{
    Json,
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Path, Query, Request,
        rejection::{BytesRejection, FailedToBufferBody},
    },
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use tazune_link::{
    front_api::{ApiError, ErrorBody, WaitQuery},
    pairing::SessionId,
    tombstone::SignedTombstone,
};

use crate::store::StoreError;

/// Longest time a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(60);

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Failed(Box<ErrorBody>);

impl Failed {
    /// The device is revoked, and this proves it.
    pub(super) fn revoked(tombstone: SignedTombstone) -> Self {
        Self(Box::new(ErrorBody { error: ApiError::Revoked, tombstone: Some(tombstone) }))
    }
}

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Self {
        Self(Box::new(error.into()))
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        tracing::error!(code = %error.failure_code(), %error, "the front's store failed");
        ApiError::Unavailable.into()
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let error = self.0.error;
        let status = StatusCode::from_u16(error.status()).expect("every error names an HTTP status");
        tracing::info!(status = status.as_u16(), ?error, "refused");
        (status, Json(self.0)).into_response()
    }
}

/// A JSON body of a known shape, within the route's limit.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failed;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failed> {
        let bytes = tokio::time::timeout(BODY_WITHIN, Bytes::from_request(request, state))
            .await
            .map_err(|_| ApiError::Malformed)?
            .map_err(|rejection| match rejection {
                BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => ApiError::Oversized,
                _ => ApiError::Malformed,
            })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|_| ApiError::Malformed.into())
    }
}

/// The pairing session that the path names; what cannot be the name of one is the name of none.
pub(super) struct Session(pub(super) SessionId);

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failed> {
        let session = Path::<SessionId>::from_request_parts(parts, state).await;
        session.map(|Path(session)| Self(session)).map_err(|_| ApiError::PairingUnknown.into())
    }
}

/// How long the client is ready to wait for news.
pub(super) struct Wait(pub(super) Duration);

impl<S: Send + Sync> FromRequestParts<S> for Wait {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failed> {
        let Query(query) = Query::<WaitQuery>::try_from_uri(&parts.uri).map_err(|_| ApiError::Malformed)?;
        Ok(Self(query.wait()))
    }
}
