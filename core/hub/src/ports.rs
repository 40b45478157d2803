use std::{
    io,
    sync::{Arc, mpsc},
    thread,
};

use async_trait::async_trait;
use axum::http::Method;
use tokio::sync::oneshot;

/// What the hub takes from the system it runs on; a simulation gives it from a seed instead.
#[derive(Clone, Default)]
pub struct Ports {
    /// Where files and databases are used; `None` is a thread for each.
    pub worker: Option<Worker>,
    /// The desk's way to the front; `None` is HTTPS.
    pub front: Option<Arc<dyn FrontPort>>,
}

impl Ports {
    /// Threads and network of this system.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// Where something of this name is done.
    pub(crate) fn worker(&self, name: &str) -> io::Result<Worker> {
        self.worker.clone().map_or_else(|| Worker::thread(name), Ok)
    }
}

/// How requests of the desk reach the front.
#[async_trait]
pub trait FrontPort: Send + Sync {
    /// Makes one request, with path and query, and JSON or nothing, and waits for status and body of its answer.
    ///
    /// # Errors
    /// [`NoAnswer`] when there was none: whether the request arrived is then not known.
    async fn call(&self, method: Method, path: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>), NoAnswer>;
}

/// No answer came from the front, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(pub String);

/// A piece of work that may block.
pub type Job = Box<dyn FnOnce() + Send>;

/// Where work that may block is done, piece by piece in the order it is given.
#[derive(Clone)]
pub struct Worker(Arc<dyn Fn(Job) + Send + Sync>);

impl Worker {
    /// A worker that hands each job to `give`, which returns at once.
    #[must_use]
    pub fn new(give: impl Fn(Job) + Send + Sync + 'static) -> Self {
        Self(Arc::new(give))
    }

    /// A thread of its own, which ends when nobody is left to give it work.
    pub(crate) fn thread(name: &str) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        thread::Builder::new().name(name.into()).spawn(move || queue.into_iter().for_each(|job| job()))?;
        // After a panic there the job is dropped, which whoever waits for its answer notices.
        Ok(Self::new(move |job| drop(jobs.send(job))))
    }

    pub(crate) fn give(&self, job: Job) {
        (self.0)(job);
    }

    /// Gives `work` that may fail as files do, and waits for it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (answer, answered) = oneshot::channel();
        self.give(Box::new(move || drop(answer.send(work()))));
        answered.await.map_err(io::Error::other)?
    }
}
