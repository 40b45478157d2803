use std::{fs, path::Path};

use reqwest::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use tazune_link::pairing::SessionId;
use tazune_model::{DeviceId, FailureCode, RecordId, Sha256};

use super::{
    AdminFile, admin_file,
    messages::{
        AdminRefusal, DEVICE_STANDING, DEVICES, Decision, DevicesView, OpenedPairing, PAIRING, PAIRING_CODE,
        PAIRING_DECISION, PAIRINGS, PairingView, RECORDS, RecordsView, SET_ASIDE, SET_ASIDES, SetAsideOrder,
        StandingOrder, TypedCode, WARNINGS, Warnings,
    },
};
use crate::{
    store::{DeviceSummary, Page, PageMark, SetAsideSummary},
    tls,
};

/// A command could not be done by the running desk.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No desk is running on this folder, or its port cannot be used.
    #[error("tazune-hub does not run on this folder ({0})")]
    NotRunning(String),
    /// The desk refused.
    #[error("{}", .0.detail)]
    Refused(AdminRefusal),
}

impl AdminError {
    /// The failure a person meets, if it is one.
    #[must_use]
    pub const fn failure_code(&self) -> Option<FailureCode> {
        match self {
            Self::NotRunning(_) => Some(FailureCode::HubNotRunning),
            Self::Refused(refusal) => refusal.code,
        }
    }
}

/// The admin port of the desk that runs on a data folder.
pub struct AdminClient {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl AdminClient {
    /// Finds the running desk.
    ///
    /// # Errors
    /// [`AdminError::NotRunning`] when the folder does not say where the port is.
    pub fn find(folder: &Path) -> Result<Self, AdminError> {
        let path = admin_file(folder);
        let file: AdminFile =
            fs::read(&path).map_err(|error| AdminError::NotRunning(format!("{}: {error}", path.display()))).and_then(
                |json| serde_json::from_slice(&json).map_err(|error| AdminError::NotRunning(error.to_string())),
            )?;
        let http = tls::local_client().map_err(|error| AdminError::NotRunning(error.to_string()))?;
        Ok(Self { http, base: format!("http://{}", file.address), token: file.token })
    }

    /// Opens a pairing session.
    ///
    /// # Errors
    /// [`AdminError`], as every call below.
    pub async fn open_pairing(&self) -> Result<OpenedPairing, AdminError> {
        self.call(Method::POST, PAIRINGS.into(), None::<&()>).await
    }

    /// Where a pairing stands; waits up to `wait_s` seconds for a change.
    pub async fn pairing(&self, session: &SessionId, wait_s: u32) -> Result<PairingView, AdminError> {
        self.call(Method::GET, format!("{}?wait_s={wait_s}", of(PAIRING, session)), None::<&()>).await
    }

    /// Hands over the six digits that were typed; there is one attempt.
    pub async fn type_code(&self, session: &SessionId, code: &str) -> Result<PairingView, AdminError> {
        self.call(Method::POST, of(PAIRING_CODE, session), Some(&TypedCode { code: code.into() })).await
    }

    /// Approves the device, or turns it down.
    pub async fn decide(&self, session: &SessionId, approve: bool) -> Result<PairingView, AdminError> {
        self.call(Method::POST, of(PAIRING_DECISION, session), Some(&Decision { approve })).await
    }

    /// The records of the desk, all pages.
    pub async fn records(&self) -> Result<RecordsView, AdminError> {
        let mut view: RecordsView = self.call(Method::GET, RECORDS.into(), None::<&()>).await?;
        while let Some(mark) = view.next.take() {
            let page: RecordsView = self.call(Method::GET, after(RECORDS, &mark), None::<&()>).await?;
            view.records.extend(page.records);
            view.next = page.next;
        }
        Ok(view)
    }

    /// The devices of the desk.
    pub async fn devices(&self) -> Result<DevicesView, AdminError> {
        self.call(Method::GET, DEVICES.into(), None::<&()>).await
    }

    /// One paired device.
    pub async fn device(&self, device: &DeviceId) -> Result<DeviceSummary, AdminError> {
        self.call(Method::GET, standing(device), None::<&()>).await
    }

    /// Suspends, resumes or revokes a device.
    pub async fn order(&self, device: &DeviceId, order: &StandingOrder) -> Result<DeviceSummary, AdminError> {
        self.call(Method::POST, standing(device), Some(order)).await
    }

    /// The envelopes that were set aside, all pages.
    pub async fn set_asides(&self) -> Result<Vec<SetAsideSummary>, AdminError> {
        let mut lines = Vec::new();
        let mut path = SET_ASIDES.to_owned();
        loop {
            let page: Page<SetAsideSummary> = self.call(Method::GET, path, None::<&()>).await?;
            lines.extend(page.lines);
            let Some(mark) = page.next else { return Ok(lines) };
            path = after(SET_ASIDES, &mark);
        }
    }

    /// Accepts an envelope that was set aside; final.
    pub async fn accept_set_aside(
        &self,
        record: RecordId,
        sha256: Option<Sha256>,
    ) -> Result<SetAsideSummary, AdminError> {
        self.decide_set_aside(record, SetAsideOrder { sha256, rejected_because: None }).await
    }

    /// Turns an envelope down that was set aside; final.
    pub async fn reject_set_aside(
        &self,
        record: RecordId,
        sha256: Option<Sha256>,
        reason: String,
    ) -> Result<SetAsideSummary, AdminError> {
        self.decide_set_aside(record, SetAsideOrder { sha256, rejected_because: Some(reason) }).await
    }

    async fn decide_set_aside(&self, record: RecordId, order: SetAsideOrder) -> Result<SetAsideSummary, AdminError> {
        let path = SET_ASIDE.replace("{record}", &record.to_string());
        self.call(Method::POST, path, Some(&order)).await
    }

    /// What a person should know beside the answer to any command.
    pub async fn warnings(&self) -> Result<Warnings, AdminError> {
        self.call(Method::GET, WARNINGS.into(), None::<&()>).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: String,
        body: Option<&impl Serialize>,
    ) -> Result<T, AdminError> {
        let unusable = |error: reqwest::Error| AdminError::NotRunning(error.without_url().to_string());
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(unusable)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(unusable)?;
        if status == StatusCode::OK {
            return serde_json::from_slice(&bytes).map_err(|error| AdminError::NotRunning(error.to_string()));
        }
        match serde_json::from_slice::<AdminRefusal>(&bytes) {
            Ok(refusal) => Err(AdminError::Refused(refusal)),
            Err(_) => Err(AdminError::NotRunning(format!("HTTP {status}"))),
        }
    }
}

fn after(path: &str, mark: &PageMark) -> String {
    format!("{path}?after={mark}")
}

fn standing(device: &DeviceId) -> String {
    DEVICE_STANDING.replace("{device}", device.as_str())
}

fn of(path: &str, session: &SessionId) -> String {
    path.replace("{session}", session.as_str())
}
