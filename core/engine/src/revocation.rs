use tazune_link::{
    revocation::{Effect, Revocation},
    tombstone::{ExpectedTombstone, SignedTombstone},
};

use crate::{
    Device,
    delivery::Turn,
    error::EngineError,
    pairing::Pairing,
    store::{Database, RevocationStatus},
};

impl Device {
    /// Takes a tombstone that the front showed: one that verifies is committed, and what the staff could read is
    /// destroyed at once; another changes nothing.
    ///
    /// # Errors
    /// [`EngineError::Tombstone`] when it does not verify; another error when a step has to be repeated later.
    pub(crate) async fn take_tombstone(
        &self,
        pairing: &Pairing,
        tombstone: &SignedTombstone,
    ) -> Result<(), EngineError> {
        let device_key = self.keys().transport_public()?;
        let expected =
            ExpectedTombstone { tenant: &pairing.tenant, device: &pairing.device_id, device_key: &device_key };
        let body = tombstone.verify(&pairing.receipt_key, &expected).inspect_err(|error| {
            tracing::warn!(%error, "the hub calls this device revoked, and does not prove it; nothing is destroyed");
        })?;
        tracing::warn!(kind = ?body.kind, "this device is revoked");
        let status = RevocationStatus { state: Revocation::begin(), kind: body.kind, revoked_at: body.revoked_at };
        let pairing = pairing.clone();
        self.store()
            .run(move |database| database.begin_revocation(&pairing, &status).map_err(EngineError::from))
            .await?;
        self.go_on_with_revocation().await.map(drop)
    }

    /// Does what the committed state of a revocation asks for, as far as that needs no network; `None` without one.
    ///
    /// # Errors
    /// [`EngineError`]; the step is repeated the next time.
    pub(crate) async fn go_on_with_revocation(&self) -> Result<Option<Revocation>, EngineError> {
        if self.store().run(|database| database.revocation().map_err(EngineError::from)).await?.is_none() {
            return Ok(None);
        }
        // One process at a time: what is destroyed must never be the keys of a pairing that came after.
        let _turn = Turn::take(&self.folder().join("revocation.lock")).await?;
        let (keys, now) = (self.keys().clone(), self.now());
        loop {
            let keys = keys.clone();
            let step = move |database: &mut Database| {
                let Some(RevocationStatus { state, .. }) = database.revocation()? else { return Ok(None) };
                let is_done = match state.effect() {
                    Some(Effect::DestroySecrets) => {
                        keys.destroy_staff_key()?;
                        database.delete_secrets()?;
                        true
                    }
                    Some(Effect::HandIn) => database.purge_if_every_record_is_answered(now)?,
                    Some(Effect::DestroyTransportKey) => {
                        keys.destroy_transport_key()?;
                        database.finish_revocation()?;
                        true
                    }
                    None => false,
                };
                Ok::<_, EngineError>(Some((state, is_done)))
            };
            match self.store().run(step).await? {
                Some((_, true)) => {}
                Some((state, false)) => return Ok(Some(state)),
                None => return Ok(None),
            }
        }
    }
}
