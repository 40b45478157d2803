use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use rand::RngExt;
use reqwest::{Method, StatusCode};
use tazune_model::StoreFault;
use tokio::sync::oneshot;

use crate::{clock::system_generator, error::EngineError};

/// What a device takes from the system it runs on; a simulation gives it from a seed instead.
#[derive(Clone)]
pub struct Ports {
    /// Where the database is used.
    pub worker: Worker,
    /// The way to the front; `None` is HTTPS to the addresses of the pairing.
    pub front: Option<Arc<dyn FrontPort>>,
    /// Random bits that spread the tries of a clinic's tablets.
    pub jitter: Arc<dyn Fn() -> u32 + Send + Sync>,
}

impl Ports {
    /// Threads, network and randomness of this system.
    #[must_use]
    pub fn system() -> Self {
        Self { worker: Worker::threads(), front: None, jitter: Arc::new(|| system_generator().random()) }
    }
}

/// How requests of a paired device reach the front of its clinic.
#[async_trait]
pub trait FrontPort: Send + Sync {
    /// Makes one request and waits for its answer.
    ///
    /// # Errors
    /// [`FrontError::Unreachable`](crate::FrontError::Unreachable) when there was none: whether the request arrived is
    /// then not known.
    async fn call(&self, request: FrontRequest) -> Result<FrontAnswer, EngineError>;
}

/// A request to the front.
#[derive(Clone, Debug)]
pub struct FrontRequest {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// JSON, or nothing.
    pub body: Vec<u8>,
    /// How long the front may hold the answer back until there is news.
    pub wait: Duration,
}

/// What the front answered.
#[derive(Clone, Debug)]
pub struct FrontAnswer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body, whatever the status.
    pub body: Vec<u8>,
}

/// A piece of work that may block.
pub type Job = Box<dyn FnOnce() + Send>;

/// Where work that may block is done, away from asynchronous code.
#[derive(Clone)]
pub struct Worker(Arc<dyn Fn(Job) + Send + Sync>);

impl Worker {
    /// A worker that hands each job to `run`, which returns at once.
    #[must_use]
    pub fn new(run: impl Fn(Job) + Send + Sync + 'static) -> Self {
        Self(Arc::new(run))
    }

    /// The threads for this purpose of the runtime in which a job is given.
    #[must_use]
    pub fn threads() -> Self {
        Self::new(|job| drop(tokio::task::spawn_blocking(job)))
    }

    /// Starts a piece of work that nobody waits for.
    pub(crate) fn start(&self, work: impl FnOnce() + Send + 'static) {
        (self.0)(Box::new(work));
    }

    /// Does one piece of work; it completes also when the future is dropped meanwhile.
    pub(crate) async fn run<T: Send + 'static, E: From<StoreFault> + Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let (answer, answered) = oneshot::channel();
        (self.0)(Box::new(move || {
            // Nobody may be left who waits for it.
            let _ = answer.send(catch_unwind(AssertUnwindSafe(work)));
        }));
        match answered.await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => resume_unwind(panic),
            // The runtime is shutting down, and nobody waits for the answer.
            Err(_) => Err(StoreFault::Failed.into()),
        }
    }
}
