//! Devices in the desk's file; each function is the work of one transaction.

use rusqlite::{OptionalExtension, Row, Transaction, named_params, params};
use tazune_link::{
    front_api::{DeviceContact, DeviceStanding},
    keys::VerifyingKey,
};
use tazune_model::{DeviceId, Timestamp};

use super::{from_json, from_optional_json, instant, optional_instant, parsed, to_json, unreadable};
use crate::store::{DeviceSummary, NewStanding, PairedDevice, StandingChange, StandingChanged, UntoldDevice};

pub(super) fn put(t: &Transaction<'_>, device: &PairedDevice) -> rusqlite::Result<usize> {
    t.execute(
        "INSERT INTO device
         (device, name, model, os, device_key, sealing_key, paired_at, certificate_expires_at, standing)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        [
            device.device.to_string(),
            device.name.clone(),
            device.model.clone(),
            device.os.clone(),
            to_json(&device.device_key),
            to_json(&device.sealing_key),
            instant(device.paired_at),
            instant(device.certificate_expires_at),
            to_json(&device.standing),
        ],
    )
}

pub(super) fn find(t: &Transaction<'_>, device: &DeviceId) -> rusqlite::Result<Option<PairedDevice>> {
    t.prepare_cached("SELECT * FROM device WHERE device = ?1")?
        .query_row([device.as_str()], |row| {
            Ok(PairedDevice {
                device: device.clone(),
                name: row.get("name")?,
                model: row.get("model")?,
                os: row.get("os")?,
                device_key: from_json::<VerifyingKey>(row, "device_key")?,
                sealing_key: from_json(row, "sealing_key")?,
                paired_at: parsed(row, "paired_at")?,
                certificate_expires_at: parsed(row, "certificate_expires_at")?,
                standing: from_json(row, "standing")?,
            })
        })
        .optional()
}

pub(super) fn list(t: &Transaction<'_>) -> rusqlite::Result<Vec<DeviceSummary>> {
    t.prepare_cached(
        "SELECT *, changes = told AS is_at_front,
             (SELECT count(*) FROM record WHERE record.device = device.device) AS accepted,
             (SELECT count(*) FROM quarantine WHERE quarantine.device = device.device AND decision IS NULL) AS aside
         FROM device ORDER BY paired_at, device",
    )?
    .query_map([], |row| {
        Ok(DeviceSummary {
            device: id(row)?,
            name: row.get("name")?,
            model: row.get("model")?,
            os: row.get("os")?,
            state: from_json(row, "standing")?,
            changed_at: optional_instant(row.get("changed_at")?)?,
            reason: row.get("reason")?,
            kind: from_optional_json(row, "kind")?,
            is_at_front: row.get("is_at_front")?,
            paired_at: parsed(row, "paired_at")?,
            last_contact_at: optional_instant(row.get("last_contact_at")?)?,
            certificate_expires_at: parsed(row, "certificate_expires_at")?,
            accepted_count: row.get("accepted")?,
            quarantined_count: row.get("aside")?,
        })
    })?
    .collect()
}

pub(super) fn change(t: &Transaction<'_>, change: &StandingChange) -> rusqlite::Result<StandingChanged> {
    let device = change.device.as_str();
    let before: Option<DeviceStanding> = t
        .query_row("SELECT standing FROM device WHERE device = ?1", [device], |row| from_json(row, "standing"))
        .optional()?;
    let standing = change.to.standing();
    match before {
        None => return Ok(StandingChanged::Unknown),
        Some(before) if before == standing => return Ok(StandingChanged::Already),
        Some(DeviceStanding::Revoked) => return Ok(StandingChanged::Final),
        Some(_) => {}
    }
    let (kind, tombstone) = match &change.to {
        NewStanding::Revoked { kind, tombstone } => (Some(to_json(kind)), Some(to_json(tombstone))),
        NewStanding::Active | NewStanding::Suspended => (None, None),
    };
    t.execute(
        "UPDATE device SET standing = :standing, changes = changes + 1, changed_at = :at, reason = :reason,
             kind = :kind, tombstone = :tombstone WHERE device = :device",
        named_params! {
            ":standing": to_json(&standing),
            ":at": instant(change.at),
            ":reason": (!change.reason.text.is_empty()).then_some(&change.reason.text),
            ":kind": kind,
            ":tombstone": tombstone,
            ":device": device,
        },
    )?;
    t.execute(
        "INSERT INTO device_change (device, at, standing, reason, salt) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![device, instant(change.at), to_json(&standing), change.reason.text, change.reason.salt],
    )?;
    Ok(StandingChanged::Changed)
}

pub(super) fn is_revoked(t: &Transaction<'_>, device: &DeviceId) -> rusqlite::Result<bool> {
    t.prepare_cached("SELECT 1 FROM device WHERE device = ?1 AND standing = ?2")?
        .exists([device.as_str(), &to_json(&DeviceStanding::Revoked)])
}

/// Keeps until when the certificate of an active device lasts; false, and nothing is kept, for any other.
pub(super) fn renewed(t: &Transaction<'_>, device: &DeviceId, expires_at: Timestamp) -> rusqlite::Result<bool> {
    let changed = t.execute(
        "UPDATE device SET certificate_expires_at = ?2 WHERE device = ?1 AND standing = ?3",
        [device.as_str(), &instant(expires_at), &to_json(&DeviceStanding::Active)],
    )?;
    Ok(changed == 1)
}

pub(super) fn untold(t: &Transaction<'_>) -> rusqlite::Result<Vec<UntoldDevice>> {
    t.prepare_cached(
        "SELECT device, device_key, standing, tombstone, changes FROM device WHERE changes > told ORDER BY device",
    )?
    .query_map([], |row| {
        Ok(UntoldDevice {
            device: id(row)?,
            device_key: from_json(row, "device_key")?,
            standing: from_json(row, "standing")?,
            tombstone: from_optional_json(row, "tombstone")?,
            change: row.get("changes")?,
        })
    })?
    .collect()
}

pub(super) fn told(t: &Transaction<'_>, device: &DeviceId, change: i64) -> rusqlite::Result<usize> {
    t.execute("UPDATE device SET told = max(told, ?2) WHERE device = ?1", params![device.as_str(), change])
}

pub(super) fn contacted(t: &Transaction<'_>, contacts: Vec<DeviceContact>) -> rusqlite::Result<()> {
    let mut update = t.prepare_cached(
        "UPDATE device SET last_contact_at = max(coalesce(last_contact_at, ''), ?2) WHERE device = ?1",
    )?;
    let mut tell_again = t.prepare_cached("UPDATE device SET told = 0 WHERE device = ?1 AND standing <> ?2")?;
    for DeviceContact { device, at, state } in contacts {
        update.execute([device.to_string(), instant(at)])?;
        if let Some(state @ (DeviceStanding::Active | DeviceStanding::Suspended)) = state {
            tell_again.execute([device.to_string(), to_json(&state)])?;
        }
    }
    Ok(())
}

fn id(row: &Row<'_>) -> rusqlite::Result<DeviceId> {
    DeviceId::new(row.get::<_, String>("device")?).map_err(|_| unreadable("device"))
}
