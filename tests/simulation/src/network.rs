use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode},
};
use tazune_engine::{EngineError, FrontAnswer, FrontError, FrontRequest};
use tazune_hub::NoAnswer;
use tower::ServiceExt as _;

use crate::{plan::Party, sim::Sim};

/// Time until a connection is refused, or one breaks.
const BREAKS_AFTER: Duration = Duration::from_millis(300);
/// Longest time a message may take on its way.
const LONGEST_DELAY: Duration = Duration::from_secs(50);
/// Latest arrival of a repeated request.
const LATEST_DUPLICATE: Duration = Duration::from_secs(2 * 60 * 60);
/// How long the desk waits for an answer.
const DESK_WAITS: Duration = Duration::from_secs(40);
/// How long a device waits for an answer that the front may not hold back.
const DEVICE_WAITS: Duration = Duration::from_secs(60);

/// The simulated network between one party and the front.
pub(crate) struct Link {
    pub(crate) sim: Arc<Sim>,
    pub(crate) party: Party,
}

/// What happens to one request and its answer.
struct Fate {
    there: Duration,
    back: Duration,
    is_request_lost: bool,
    is_answer_lost: bool,
    is_answer_repeated: bool,
    duplicate: Option<Duration>,
}

#[async_trait]
impl tazune_engine::FrontPort for Link {
    async fn call(&self, request: FrontRequest) -> Result<FrontAnswer, EngineError> {
        let within = DEVICE_WAITS + request.wait;
        let unreachable = EngineError::from(FrontError::Unreachable);
        let (status, body) =
            self.exchange(request.method, &request.path, request.body, within).await.ok_or(unreachable)?;
        Ok(FrontAnswer { status: StatusCode::from_u16(status).expect("the front's own"), body })
    }
}

#[async_trait]
impl tazune_hub::FrontPort for Link {
    async fn call(&self, method: Method, path: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>), NoAnswer> {
        self.exchange(method, path, body, DESK_WAITS).await.ok_or_else(|| NoAnswer("simulated".into()))
    }
}

impl Link {
    async fn exchange(&self, method: Method, path: &str, body: Vec<u8>, within: Duration) -> Option<(u16, Vec<u8>)> {
        let party = self.party;
        if let Party::Device(number) = party
            && !self.sim.keys[number].has_transport()
        {
            self.sim.note(|| format!("{party:?} has no key for a handshake"));
            return None;
        }
        let answer = tokio::time::timeout(within, self.travel(method.clone(), path, body)).await.ok().flatten();
        self.sim.note(|| match &answer {
            // Not how long it is: signatures are random, and not all of one length.
            Some((status, _)) => format!("{party:?} {method} {path} -> {status}"),
            None => format!("{party:?} {method} {path} -> no answer"),
        });
        answer
    }

    async fn travel(&self, method: Method, path: &str, body: Vec<u8>) -> Option<(u16, Vec<u8>)> {
        let fate = self.fate();
        tokio::time::sleep(fate.there).await;
        if !self.sim.is_connected(self.party) {
            self.sim.state().counts.cut += 1;
            tokio::time::sleep(BREAKS_AFTER).await;
            return None;
        }
        if fate.is_request_lost {
            // Until the caller's patience ends.
            std::future::pending::<()>().await;
        }
        if let Some(later) = fate.duplicate {
            let (sim, party, again) = (self.sim.clone(), self.party, (method.clone(), path.to_owned(), body.clone()));
            tokio::spawn(async move {
                tokio::time::sleep(later).await;
                let (method, path, body) = again;
                sim.note(|| format!("a duplicate of {party:?} {method} {path} arrives"));
                arrive(&sim, party, method, &path, body).await;
            });
        }
        let Some(mut answer) = arrive(&self.sim, self.party, method.clone(), path, body).await else {
            tokio::time::sleep(BREAKS_AFTER).await;
            return None;
        };
        tokio::time::sleep(fate.back).await;
        if fate.is_answer_lost || !self.sim.is_connected(self.party) {
            tokio::time::sleep(BREAKS_AFTER).await;
            return None;
        }
        let question = (self.party.index(), format!("{method} {path}"));
        let mut state = self.sim.state();
        let before = state.last_answers.insert(question, answer.clone());
        if let (true, Some(before)) = (fate.is_answer_repeated && method == Method::GET, before) {
            state.counts.repeated_answers += 1;
            answer = before;
        }
        Some(answer)
    }

    fn fate(&self) -> Fate {
        let is_healed = self.sim.is_healed();
        let rates = if is_healed { Default::default() } else { self.sim.plan.rates };
        let mut state = self.sim.state();
        let dice = &mut state.messages[self.party.index()];
        let delay = |dice: &mut crate::plan::Dice| {
            let longest = if dice.percent(rates.delay) { LONGEST_DELAY } else { Duration::from_millis(50) };
            dice.time(longest)
        };
        let fate = Fate {
            there: delay(dice),
            back: delay(dice),
            is_request_lost: dice.percent(rates.lose_request),
            is_answer_lost: dice.percent(rates.lose_answer),
            is_answer_repeated: dice.percent(rates.repeat_answer),
            duplicate: dice.percent(rates.duplicate).then(|| dice.time(LATEST_DUPLICATE)),
        };
        let counts = &mut state.counts;
        counts.requests += 1;
        counts.lost_requests += usize::from(fate.is_request_lost);
        counts.lost_answers += usize::from(fate.is_answer_lost);
        counts.duplicates += usize::from(fate.duplicate.is_some());
        counts.delays += usize::from(fate.there.max(fate.back) > Duration::from_secs(1));
        fate
    }
}

/// A request reaches the front, whose answer dies with it.
async fn arrive(sim: &Arc<Sim>, party: Party, method: Method, path: &str, body: Vec<u8>) -> Option<(u16, Vec<u8>)> {
    let service = sim.state().services.as_ref()?.0[party.index()].clone()?;
    let is_work = path.starts_with(tazune_link::front_api::DESK_WORK);
    let mut request = Request::builder().method(method).uri(path);
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    let request = request.body(Body::from(body)).expect("our clients' paths are paths");
    let handling = tokio::spawn(async move {
        let response = match service.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.expect("the front's answers are in memory");
        (status, body.to_vec())
    });
    sim.runs(Party::Front, handling.abort_handle());
    let answer = handling.await.ok()?;
    if is_work {
        sim.sabotage_work_given();
    }
    Some(answer)
}
