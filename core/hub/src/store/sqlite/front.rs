use std::path::Path;

use async_trait::async_trait;
use jiff::ToSpan;
use rusqlite::{OptionalExtension, Row, params};
use tazune_link::{
    envelope::Refusal,
    front_api::{ArrivedHello, DeskReceipt, DeviceRegistration, DeviceStanding, HandIn, HelloRefused, PairingAnswer},
    pairing::{SealedHello, SessionId},
    receipt::SignedReceipt,
    renewal::{ArrivedRenewal, RenewalAnswer},
};
use tazune_model::{Bytes, DeviceId, RecordId, Timestamp};

use super::{database::Database, from_json, from_optional_json, instant, optional_instant, parsed, to_json};
use crate::{
    Ports,
    store::{FrontPairing, FrontPulse, FrontStore, NewEnvelope, StoreError},
};

/// Each step brings the schema up by one version; a published step is never changed.
pub(super) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE device (
        device TEXT PRIMARY KEY,
        registration TEXT NOT NULL
    ) STRICT;
    CREATE TABLE envelope (
        seq INTEGER PRIMARY KEY,
        record_id TEXT NOT NULL UNIQUE,
        device TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        received_at TEXT NOT NULL,
        sealed BLOB,
        receipt TEXT,
        taken INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX envelope_for_desk ON envelope (seq) WHERE sealed IS NOT NULL;
    CREATE INDEX envelope_for_device ON envelope (device, seq) WHERE receipt IS NOT NULL AND taken = 0;
    CREATE TABLE pairing (
        session TEXT PRIMARY KEY,
        expires_at TEXT NOT NULL,
        hello TEXT,
        answer TEXT
    ) STRICT;
",
    "
    CREATE TABLE renewal (
        device TEXT PRIMARY KEY,
        csr TEXT NOT NULL,
        answer TEXT
    ) STRICT;
    CREATE TABLE hello_refused (
        session TEXT NOT NULL,
        reason TEXT NOT NULL,
        noted INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (session, reason)
    ) STRICT;
",
];

/// The front's store in one SQLite file.
pub struct SqliteFrontStore(Database);

impl SqliteFrontStore {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// [`StoreError`], also when the file is damaged or was written by a newer program.
    pub fn open(path: &Path, ports: &Ports) -> Result<Self, StoreError> {
        Database::open(path, MIGRATIONS, ports).map(Self)
    }
}

#[async_trait]
impl FrontStore for SqliteFrontStore {
    async fn put_device(&self, device: &DeviceId, registration: &DeviceRegistration) -> Result<bool, StoreError> {
        let (device, registration) = (device.to_string(), registration.clone());
        let work = move |t: &rusqlite::Transaction<'_>| {
            let known = find_device(t, &device)?;
            if known.is_some_and(|known| known.state == DeviceStanding::Revoked && registration.state != known.state) {
                return Ok(false);
            }
            let row = [device, to_json(&registration)];
            t.execute("INSERT OR REPLACE INTO device (device, registration) VALUES (?1, ?2)", row)?;
            Ok(true)
        };
        self.0.run(work).await
    }

    async fn device(&self, device: &DeviceId) -> Result<Option<DeviceRegistration>, StoreError> {
        let device = device.to_string();
        self.0.run(move |t| find_device(t, &device)).await
    }

    async fn receive(&self, envelopes: Vec<NewEnvelope>, now: Timestamp) -> Result<Vec<HandIn>, StoreError> {
        let work = move |t: &rusqlite::Transaction<'_>| {
            let mut insert = t.prepare_cached(
                "INSERT INTO envelope (record_id, device, sha256, received_at, sealed) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (record_id) DO NOTHING",
            )?;
            let mut offer_again = t.prepare_cached(
                "UPDATE envelope SET taken = 0 WHERE record_id = ?1 AND device = ?2 AND sha256 = ?3
                 RETURNING receipt IS NOT NULL",
            )?;
            let mut hand_in = |envelope: NewEnvelope| {
                let (record, device) = (envelope.record_id.to_string(), envelope.device.to_string());
                let sha256 = envelope.sha256.to_string();
                if insert.execute(params![record, device, sha256, instant(now), envelope.sealed.0])? == 1 {
                    return Ok(HandIn::Received);
                }
                let answered = offer_again.query_row([record, device, sha256], |row| row.get(0)).optional()?;
                Ok(match answered {
                    Some(true) => HandIn::Accepted,
                    Some(false) => HandIn::Received,
                    None => HandIn::Refused(Refusal::Replayed),
                })
            };
            envelopes.into_iter().map(&mut hand_in).collect()
        };
        self.0.run(work).await
    }

    async fn waiting_envelopes(&self, max_bytes: usize) -> Result<Vec<Bytes>, StoreError> {
        let work = move |t: &rusqlite::Transaction<'_>| {
            let mut waiting = t.prepare_cached("SELECT sealed FROM envelope WHERE sealed IS NOT NULL ORDER BY seq")?;
            let mut rows = waiting.query([])?;
            let (mut envelopes, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let sealed: Vec<u8> = row.get("sealed")?;
                bytes += sealed.len();
                if bytes > max_bytes && !envelopes.is_empty() {
                    break;
                }
                envelopes.push(Bytes(sealed));
            }
            Ok(envelopes)
        };
        self.0.run(work).await
    }

    async fn revoked_senders(&self) -> Result<Vec<DeviceId>, StoreError> {
        let work = |t: &rusqlite::Transaction<'_>| {
            let mut senders = t.prepare_cached(
                "SELECT device, registration FROM device
                 WHERE device IN (SELECT device FROM envelope WHERE sealed IS NOT NULL)",
            )?;
            let mut rows = senders.query([])?;
            let mut revoked = Vec::new();
            while let Some(row) = rows.next()? {
                let registration: DeviceRegistration = from_json(row, "registration")?;
                if registration.state == DeviceStanding::Revoked {
                    let device: String = row.get("device")?;
                    revoked.push(DeviceId::new(device).map_err(|_| super::unreadable("device"))?);
                }
            }
            Ok(revoked)
        };
        self.0.run(work).await
    }

    async fn put_receipts(&self, receipts: Vec<DeskReceipt>) -> Result<(), StoreError> {
        let work = move |t: &rusqlite::Transaction<'_>| {
            let mut update = t.prepare_cached(
                "UPDATE envelope SET taken = taken AND receipt IS ?3, receipt = ?3, sealed = NULL
                 WHERE record_id = ?1 AND device = ?2",
            )?;
            for DeskReceipt { record_id, device, receipt } in receipts {
                update.execute([record_id.to_string(), device.into(), to_json(&receipt)])?;
            }
            Ok(())
        };
        self.0.run(work).await
    }

    async fn receipts(&self, device: &DeviceId, max_count: u32) -> Result<Vec<SignedReceipt>, StoreError> {
        let device = device.to_string();
        let work = move |t: &rusqlite::Transaction<'_>| {
            t.prepare_cached(
                "SELECT receipt FROM envelope WHERE device = ?1 AND receipt IS NOT NULL AND taken = 0
                 ORDER BY seq LIMIT ?2",
            )?
            .query_map(params![device, max_count], |row| from_json(row, "receipt"))?
            .collect()
        };
        self.0.run(work).await
    }

    async fn receipts_taken(&self, device: &DeviceId, records: Vec<RecordId>) -> Result<(), StoreError> {
        let device = device.to_string();
        let work = move |t: &rusqlite::Transaction<'_>| {
            let mut update = t.prepare_cached(
                "UPDATE envelope SET taken = 1 WHERE record_id = ?1 AND device = ?2 AND receipt IS NOT NULL",
            )?;
            for record in records {
                update.execute([&record.to_string(), &device])?;
            }
            Ok(())
        };
        self.0.run(work).await
    }

    async fn open_pairing(&self, session: &SessionId, expires_at: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let session = session.to_string();
        let forgotten = instant(now.saturating_sub(24.hours()).unwrap_or(now));
        let work = move |t: &rusqlite::Transaction<'_>| {
            t.execute("DELETE FROM pairing WHERE expires_at < ?1", [forgotten])?;
            t.execute("DELETE FROM hello_refused WHERE session NOT IN (SELECT session FROM pairing)", [])?;
            t.execute(
                "INSERT INTO pairing (session, expires_at) VALUES (?1, ?2) ON CONFLICT (session) DO NOTHING",
                [session, instant(expires_at)],
            )
        };
        self.0.run(work).await.map(drop)
    }

    async fn pairing(&self, session: &SessionId) -> Result<Option<FrontPairing>, StoreError> {
        let session = session.to_string();
        let work = move |t: &rusqlite::Transaction<'_>| {
            t.query_row("SELECT expires_at, hello, answer FROM pairing WHERE session = ?1", [session], |row| {
                Ok(FrontPairing {
                    expires_at: parsed(row, "expires_at")?,
                    hello: from_optional_json(row, "hello")?,
                    answer: from_optional_json(row, "answer")?,
                })
            })
            .optional()
        };
        self.0.run(work).await
    }

    async fn put_hello(&self, session: &SessionId, hello: &SealedHello) -> Result<Option<SealedHello>, StoreError> {
        let (session, hello) = (session.to_string(), to_json(hello));
        let work = move |t: &rusqlite::Transaction<'_>| {
            t.query_row(
                "UPDATE pairing SET hello = coalesce(hello, ?2) WHERE session = ?1 RETURNING hello",
                [session, hello],
                |row| from_json(row, "hello"),
            )
            .optional()
        };
        self.0.run(work).await
    }

    async fn waiting_hellos(&self) -> Result<Vec<ArrivedHello>, StoreError> {
        let work = |t: &rusqlite::Transaction<'_>| {
            t.prepare_cached("SELECT session, hello FROM pairing WHERE hello IS NOT NULL AND answer IS NULL")?
                .query_map([], |row| Ok(ArrivedHello { session: session(row)?, hello: from_json(row, "hello")? }))?
                .collect()
        };
        self.0.run(work).await
    }

    async fn refuse_hello(&self, refused: &HelloRefused) -> Result<(), StoreError> {
        let row = [refused.session.to_string(), to_json(&refused.reason)];
        let work = move |t: &rusqlite::Transaction<'_>| {
            let insert = "INSERT INTO hello_refused (session, reason) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            t.execute(insert, row)
        };
        self.0.run(work).await.map(drop)
    }

    async fn waiting_refusals(&self) -> Result<Vec<HelloRefused>, StoreError> {
        let work = |t: &rusqlite::Transaction<'_>| {
            t.prepare_cached("SELECT session, reason FROM hello_refused WHERE noted = 0")?
                .query_map([], |row| Ok(HelloRefused { session: session(row)?, reason: from_json(row, "reason")? }))?
                .collect()
        };
        self.0.run(work).await
    }

    async fn refusals_noted(&self, refusals: Vec<HelloRefused>) -> Result<(), StoreError> {
        let work = move |t: &rusqlite::Transaction<'_>| {
            let mut update =
                t.prepare_cached("UPDATE hello_refused SET noted = 1 WHERE session = ?1 AND reason = ?2")?;
            for HelloRefused { session, reason } in refusals {
                update.execute([session.to_string(), to_json(&reason)])?;
            }
            Ok(())
        };
        self.0.run(work).await
    }

    async fn ask_renewal(&self, device: &DeviceId, csr: &Bytes) -> Result<(), StoreError> {
        let row = [device.to_string(), to_json(csr)];
        let work = move |t: &rusqlite::Transaction<'_>| {
            t.execute("INSERT OR REPLACE INTO renewal (device, csr) VALUES (?1, ?2)", row)
        };
        self.0.run(work).await.map(drop)
    }

    async fn renewal_answer(&self, device: &DeviceId) -> Result<Option<RenewalAnswer>, StoreError> {
        let device = device.to_string();
        let work = move |t: &rusqlite::Transaction<'_>| {
            let mut answers = t.prepare_cached("SELECT answer FROM renewal WHERE device = ?1")?;
            let answer = answers.query_row([device], |row| from_optional_json(row, "answer")).optional()?;
            Ok(answer.flatten())
        };
        self.0.run(work).await
    }

    async fn waiting_renewals(&self) -> Result<Vec<ArrivedRenewal>, StoreError> {
        let work = |t: &rusqlite::Transaction<'_>| {
            t.prepare_cached("SELECT device, csr FROM renewal WHERE answer IS NULL")?
                .query_map([], |row| {
                    let device: String = row.get("device")?;
                    let device = DeviceId::new(device).map_err(|_| super::unreadable("device"))?;
                    Ok(ArrivedRenewal { device, csr: from_json(row, "csr")? })
                })?
                .collect()
        };
        self.0.run(work).await
    }

    async fn put_renewal_answer(&self, device: &DeviceId, answer: &RenewalAnswer) -> Result<(), StoreError> {
        let (device, answer) = (device.to_string(), to_json(answer));
        let work = move |t: &rusqlite::Transaction<'_>| {
            t.execute("UPDATE renewal SET answer = ?2 WHERE device = ?1", [device, answer])
        };
        self.0.run(work).await.map(drop)
    }

    async fn put_pairing_answer(&self, session: &SessionId, answer: &PairingAnswer) -> Result<bool, StoreError> {
        let (session, answer) = (session.to_string(), to_json(answer));
        let work = move |t: &rusqlite::Transaction<'_>| {
            t.execute("UPDATE pairing SET answer = ?2 WHERE session = ?1", [session, answer])
        };
        self.0.run(work).await.map(|changed| changed == 1)
    }

    async fn pulse(&self) -> Result<FrontPulse, StoreError> {
        self.0.prove_writable().await?;
        let work = |t: &rusqlite::Transaction<'_>| {
            let (waiting, oldest) =
                t.query_row("SELECT count(*), min(received_at) FROM envelope WHERE sealed IS NOT NULL", [], |row| {
                    Ok((row.get(0)?, row.get::<_, Option<String>>(1)?))
                })?;
            let devices = t
                .prepare_cached("SELECT registration ->> 'state' AS state, count(*) FROM device GROUP BY state")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            Ok((waiting, optional_instant(oldest)?, devices))
        };
        let (waiting, oldest_received_at, devices) = self.0.run(work).await?;
        Ok(FrontPulse { waiting, oldest_received_at, devices, size: self.0.size() })
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.0.check().await
    }

    async fn settle(&self) -> Result<(), StoreError> {
        self.0.settle().await
    }
}

fn find_device(t: &rusqlite::Transaction<'_>, device: &str) -> rusqlite::Result<Option<DeviceRegistration>> {
    t.prepare_cached("SELECT registration FROM device WHERE device = ?1")?
        .query_row([device], |row| from_json(row, "registration"))
        .optional()
}

fn session(row: &Row<'_>) -> rusqlite::Result<SessionId> {
    row.get::<_, String>("session")?.try_into().map_err(|_| super::unreadable("session"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn conforms() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("front.sqlite");
        crate::store::conformance::front(async || SqliteFrontStore::open(&path, &Ports::system()).unwrap()).await;
    }
}
