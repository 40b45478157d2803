use std::{collections::BTreeSet, convert::Infallible, sync::Arc, time::Duration};

use tazune_model::Clock;
use tokio::sync::oneshot;

use super::{dialler::LastSuccess, face::FaceFolder};
use crate::{
    disk::Disk,
    health::{Ailment, Health, LOOK_EVERY},
    ports::Worker,
    store::{CHECK_EVERY, DeskPulse, DeskStore, StoreError, damage},
    telemetry::seconds,
};

/// The front is asked without a pause; so long without an answer is more than a restart of it.
const UNREACHED_AFTER: Duration = Duration::from_secs(180);

/// A share that is away may not answer at all.
const FOLDER_WITHIN: Duration = Duration::from_secs(10);

/// Looks after the desk.
pub(super) struct Monitor {
    pub(super) health: Arc<Health>,
    pub(super) store: Arc<dyn DeskStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) success: Arc<LastSuccess>,
    pub(super) folder: FaceFolder,
    /// Where the face folder is asked.
    pub(super) worker: Worker,
    /// Of the data folder.
    pub(super) disk: Disk,
    /// Of the face folder, which may be a share.
    pub(super) face_disk: Arc<Disk>,
}

impl Monitor {
    /// Looks until the database turns out to be damaged.
    pub(super) async fn run(&self) -> StoreError {
        let looking = async {
            loop {
                self.look().await;
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let checking = async {
            loop {
                if let Some(damage) = damage(self.store.check().await) {
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

    async fn look(&self) {
        let mut ailments = BTreeSet::new();
        ailments.extend(self.disk.look().failure_code().map(Ailment::DiskNearlyFull));
        match self.store.pulse().await {
            Ok(pulse) => self.tell(&pulse),
            Err(error) => {
                tracing::error!(code = %error.failure_code(), %error, "the desk's store cannot be written");
                ailments.insert(Ailment::StoreUnwritable);
            }
        }
        if self.success.age() > UNREACHED_AFTER {
            ailments.insert(Ailment::FrontUnreached);
        }
        let (folder, disk) = (self.folder.clone(), self.face_disk.clone());
        let (answer, answered) = oneshot::channel();
        let look = move || drop(answer.send(folder.prove_writable().map(|()| disk.look())));
        self.worker.give(Box::new(look));
        match tokio::time::timeout(FOLDER_WITHIN, answered).await {
            Ok(Ok(Ok(room))) => ailments.extend(room.failure_code().map(Ailment::DiskNearlyFull)),
            Ok(Ok(Err(error))) => {
                tracing::warn!(%error, "the face folder cannot be written");
                ailments.insert(Ailment::FaceFolderUnwritable);
            }
            Ok(Err(_)) | Err(_) => {
                ailments.insert(Ailment::FaceFolderUnwritable);
            }
        }
        self.health.looked(ailments);
    }

    fn tell(&self, pulse: &DeskPulse) {
        let DeskPulse { waiting, oldest_accepted_at, size } = pulse;
        metrics::gauge!("tazune_waiting_face_files").set(f64::from(*waiting));
        let age = oldest_accepted_at.map(|at| self.clock.now().duration_since(at));
        metrics::gauge!("tazune_waiting_face_files_oldest_seconds").set(seconds(age));
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a floating-point number")]
        metrics::gauge!("tazune_database_bytes", "role" => "desk").set(*size as f64);
    }
}
