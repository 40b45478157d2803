use std::{collections::BTreeSet, convert::Infallible, io, sync::Arc, time::Duration};

use tazune_model::Clock;
use tokio::sync::oneshot;

use super::{dialler::LastSuccess, face::FaceFolder};
use crate::{
    disk::{Disk, Room},
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
            let mut probe = Probe::default();
            loop {
                self.look(&mut probe).await;
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

    async fn look(&self, probe: &mut Probe) {
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
        let look = move || folder.prove_writable().map(|()| disk.look());
        match probe.ask(&self.worker, FOLDER_WITHIN, look).await {
            Some(Ok(room)) => ailments.extend(room.failure_code().map(Ailment::DiskNearlyFull)),
            Some(Err(error)) => {
                tracing::warn!(%error, "the face folder cannot be written");
                ailments.insert(Ailment::FaceFolderUnwritable);
            }
            None => {
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

/// Asks the face folder; one question at a time, so that none pile up behind a share that does not answer.
#[derive(Default)]
struct Probe(Option<oneshot::Receiver<io::Result<Room>>>);

impl Probe {
    /// The answer to `look`, or to the question before if that is still open; `None` when it takes longer than `within`.
    async fn ask(
        &mut self,
        worker: &Worker,
        within: Duration,
        look: impl FnOnce() -> io::Result<Room> + Send + 'static,
    ) -> Option<io::Result<Room>> {
        let mut answered = self.0.take().unwrap_or_else(|| {
            let (answer, answered) = oneshot::channel();
            worker.give(Box::new(move || drop(answer.send(look()))));
            answered
        });
        match tokio::time::timeout(within, &mut answered).await {
            Ok(answer) => answer.ok(),
            Err(_) => {
                self.0 = Some(answered);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    #[tokio::test]
    async fn a_share_that_does_not_answer_is_asked_once() {
        let (give, jobs) = mpsc::channel();
        let give = Mutex::new(give);
        let worker = Worker::new(move |job| give.lock().unwrap().send(job).unwrap());
        let mut probe = Probe::default();
        for _ in 0..3 {
            assert!(probe.ask(&worker, Duration::ZERO, || Ok(Room::Low)).await.is_none());
        }
        let waiting: Vec<_> = jobs.try_iter().collect();
        assert_eq!(waiting.len(), 1);
        waiting.into_iter().for_each(|job| job());
        assert_eq!(probe.ask(&worker, Duration::ZERO, || Ok(Room::Enough)).await.unwrap().unwrap(), Room::Low);
        assert!(probe.ask(&worker, Duration::ZERO, || Ok(Room::Enough)).await.is_none());
        assert_eq!(jobs.try_iter().count(), 1, "and again after its answer");
    }
}
