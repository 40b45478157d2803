use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use tazune_model::FailureCode;

/// When a disk counts as nearly full: a setting of each role.
///
/// A limit is reached when the free space is below both its bytes and its percentage of the disk, so that neither a very
/// large nor a very small disk is called full too soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskLimits {
    /// Announced below so many free bytes …
    pub low_bytes: u64,
    /// … that are also below this percentage of the disk.
    pub low_percent: u8,
    /// The front takes no more envelopes below so many free bytes …
    pub critical_bytes: u64,
    /// … that are also below this percentage of the disk.
    pub critical_percent: u8,
}

impl Default for DiskLimits {
    fn default() -> Self {
        Self { low_bytes: 2 << 30, low_percent: 5, critical_bytes: 200 << 20, critical_percent: 1 }
    }
}

/// How much room a disk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Room {
    /// Enough.
    Enough,
    /// It is time to make some.
    Low,
    /// What is left is kept for receipts.
    Critical,
}

impl Room {
    /// The failure a person meets, if there is too little.
    pub(crate) const fn failure_code(self) -> Option<FailureCode> {
        match self {
            Self::Enough => None,
            Self::Low | Self::Critical => Some(FailureCode::DiskNearlyFull),
        }
    }
}

/// The disk under a folder; says in the log when its room changes.
pub(crate) struct Disk {
    /// What the folder is called in logs and metrics.
    name: &'static str,
    folder: PathBuf,
    limits: DiskLimits,
    room: Mutex<Room>,
}

impl Disk {
    pub(crate) const fn new(name: &'static str, folder: PathBuf, limits: DiskLimits) -> Self {
        Self { name, folder, limits, room: Mutex::new(Room::Enough) }
    }

    /// Asks the system; a folder that cannot be asked keeps its state, because others tell that it is away.
    pub(crate) fn look(&self) -> Room {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(stats) = fs4::statvfs(&self.folder) else { return *room };
        let (free, total) = (stats.available_space(), stats.total_space());
        let now = next(*room, free, total, self.limits);
        if now != *room {
            match now.failure_code() {
                Some(code) => tracing::warn!(%code, folder = self.name, free, ?now, "the disk is nearly full"),
                None => tracing::info!(folder = self.name, free, "the disk has room again"),
            }
        }
        *room = now;
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a floating-point number")]
        metrics::gauge!("tazune_disk_free_bytes", "folder" => self.name).set(free as f64);
        metrics::gauge!("tazune_disk_nearly_full", "folder" => self.name).set(f64::from(u8::from(now > Room::Enough)));
        now
    }
}

/// A state once reached ends a quarter above its limit, so that it does not flicker.
fn next(room: Room, free: u64, total: u64, limits: DiskLimits) -> Room {
    let limit = |bytes: u64, percent: u8| bytes.min((u128::from(total) * u128::from(percent) / 100) as u64);
    let is_below = |limit: u64, reached: bool| free < if reached { limit.saturating_add(limit / 4) } else { limit };
    if is_below(limit(limits.critical_bytes, limits.critical_percent), room == Room::Critical) {
        Room::Critical
    } else if is_below(limit(limits.low_bytes, limits.low_percent), room >= Room::Low) {
        Room::Low
    } else {
        Room::Enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Room::{Critical, Enough, Low};

    const LIMITS: DiskLimits =
        DiskLimits { low_bytes: 1000, low_percent: 10, critical_bytes: 100, critical_percent: 1 };

    #[test]
    fn room_is_low_below_both_limits_and_again_enough_only_well_above() {
        for (before, free, total, after) in [
            (Enough, 1000, 100_000, Enough),
            (Enough, 999, 100_000, Low),
            (Low, 1249, 100_000, Low),
            (Low, 1250, 100_000, Enough),
            (Low, 99, 100_000, Critical),
            (Enough, 99, 100_000, Critical),
            (Critical, 124, 100_000, Critical),
            (Critical, 125, 100_000, Low),
            (Critical, 1249, 100_000, Low),
            (Critical, 1250, 100_000, Enough),
            // A small disk: the percentage is less than the bytes.
            (Enough, 100, 1000, Enough),
            (Enough, 99, 1000, Low),
            (Enough, 9, 1000, Critical),
            (Enough, 0, 0, Enough),
            (Enough, 0, u64::MAX, Critical),
        ] {
            assert_eq!(next(before, free, total, LIMITS), after, "{before:?} {free} of {total}");
        }
    }

    #[test]
    fn a_folder_that_is_away_keeps_its_state_and_a_real_one_has_a_size() {
        let folder = tempfile::tempdir().unwrap();
        let all = DiskLimits { low_bytes: u64::MAX, low_percent: 100, critical_bytes: 0, critical_percent: 0 };
        let place = folder.path().join("place");
        let disk = Disk::new("desk", place.clone(), all);
        assert_eq!(disk.look(), Enough);
        std::fs::create_dir(&place).unwrap();
        assert_eq!(disk.look(), Low);
        std::fs::remove_dir(&place).unwrap();
        assert_eq!(disk.look(), Low);
    }

    #[test]
    fn settings_may_name_some_limits_only() {
        let some: DiskLimits = serde_json::from_str(r#"{ "low_percent": 20 }"#).unwrap();
        assert_eq!(some, DiskLimits { low_percent: 20, ..DiskLimits::default() });
        assert!(serde_json::from_str::<DiskLimits>(r#"{ "low": 20 }"#).is_err());
    }
}
