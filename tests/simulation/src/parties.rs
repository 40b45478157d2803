use std::{future::pending, sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use tazune_engine::{DeliverUntil, Device, DeviceConfig, EngineError, RevocationKind};
use tazune_hub::{
    Stop,
    admin::messages::StandingOrder,
    desk::{Desk, FrontAt},
    front::Front,
};
use tokio::sync::mpsc;
use tower::ServiceExt as _;

use crate::{
    network::Link,
    plan::{Fault, Orders, Party, Sealing, Word},
    sim::{Services, Sim},
    world::random,
};

type Job = Box<dyn FnOnce() + Send>;

/// Runs a party for ever, through all its crashes.
pub(crate) async fn supervise(sim: Arc<Sim>, party: Party) {
    loop {
        let (give, jobs) = mpsc::unbounded_channel();
        let disk = tokio::spawn(disk(sim.clone(), party, jobs));
        sim.runs(party, disk.abort_handle());
        let task = match party {
            Party::Device(number) => tokio::spawn(device(sim.clone(), number, give)),
            Party::Front => tokio::spawn(front(sim.clone(), give)),
            Party::Desk => tokio::spawn(desk(sim.clone(), give)),
        };
        sim.runs(party, task.abort_handle());
        if let Err(error) = task.await
            && error.is_panic()
        {
            return sim.violated(format!("{party:?} panicked"));
        }
        tokio::time::sleep(sim.take_down_time(party)).await;
        if party == Party::Front {
            sim.restore_front();
        }
        sim.sabotage_restart(party);
        sim.note(|| format!("{party:?} starts again"));
    }
}

/// The thread that may block: work is done piece by piece, and between any two the party may be killed.
async fn disk(sim: Arc<Sim>, party: Party, mut jobs: mpsc::UnboundedReceiver<Job>) {
    while let Some(job) = jobs.recv().await {
        let (before, after) = sim.crashes_around_next_job(party);
        if let Some(down) = before {
            sim.crash(party, down, "before a commit");
            return;
        }
        sim.sabotage_before_job(party);
        job();
        sim.sabotage_after_job(party);
        if let Err(what) = sim.look(party) {
            sim.violated(what);
        }
        if let Some(down) = after {
            sim.crash(party, down, "between a commit and its answer");
            return;
        }
    }
}

async fn device(sim: Arc<Sim>, number: usize, give: mpsc::UnboundedSender<Job>) {
    let party = Party::Device(number);
    let config =
        DeviceConfig { folder: sim.site.device(number), keys: sim.keys[number].clone(), clock: sim.clock(party) };
    let jitter = {
        let sim = sim.clone();
        move || sim.state().messages[party.index()].below(1 << 32) as u32
    };
    let ports = tazune_engine::Ports {
        worker: tazune_engine::Worker::new(move |job| drop(give.send(job))),
        front: Some(Arc::new(Link { sim: sim.clone(), party })),
        jitter: Arc::new(jitter),
    };
    let device = Arc::new(Device::open_with(config, ports).await.expect("the database is sound"));
    for sealing in sim.plan.sealings.iter().copied().filter(|sealing| sealing.device == number) {
        let task = tokio::spawn(seal(sim.clone(), device.clone(), sealing));
        sim.runs(party, task.abort_handle());
    }
    match device.run_delivery(DeliverUntil::Forever).await {
        // Nothing is left of it.
        Err(EngineError::Revoked(_)) => pending().await,
        ended => ended.expect("the device is paired"),
    }
}

/// Puts a record into the queue when it is due, unless that has happened before a crash.
async fn seal(sim: Arc<Sim>, device: Arc<Device>, sealing: Sealing) {
    tokio::time::sleep(sealing.at.saturating_sub(sim.elapsed())).await;
    if sim.insert(&sealing) && sealing.send_now {
        // What fails now is tried again in the background.
        let _ = device.deliver_now(Duration::from_secs(20)).await;
    }
}

async fn front(sim: Arc<Sim>, give: mpsc::UnboundedSender<Job>) {
    let (_stop, stopping) = Stop::new();
    let worker = tazune_hub::Worker::new(move |job| drop(give.send(job)));
    let ports = tazune_hub::Ports { worker: Some(worker), front: None };
    let front = Front::open_with(&sim.site.front(), sim.clock(Party::Front), stopping, &ports).await;
    let front = front.expect("the folder is sound");
    let service = |certificate: &[u8]| Some(front.service(Some(certificate)).expect("a certificate with names"));
    let mut services = [const { None }; Party::COUNT];
    for (number, device) in sim.world.devices.iter().enumerate() {
        services[Party::Device(number).index()] = service(&device.certificate);
    }
    services[Party::Desk.index()] = service(&sim.world.desk_certificate);
    sim.state().services = Some(Services(services));
    // Until it is killed; the socket stays unused.
    pending::<()>().await;
}

async fn desk(sim: Arc<Sim>, give: mpsc::UnboundedSender<Job>) {
    let (_stop, stopping) = Stop::new();
    let ports = tazune_hub::Ports {
        worker: Some(tazune_hub::Worker::new(move |job| drop(give.send(job)))),
        front: Some(Arc::new(Link { sim: sim.clone(), party: Party::Desk })),
    };
    let address = FrontAt::Here(([127, 0, 0, 1], 1).into());
    let desk = Desk::open_with(&sim.site.desk(), address, sim.clock(Party::Desk), random(), stopping, ports).await;
    let desk = desk.expect("the folder is sound");
    sim.state().admin = Some(desk.admin_service());
    if let Err(error) = desk.serve().await {
        sim.violated(format!("the desk ended: {error}"));
    }
}

/// Orders what is to be ordered about a device, each until the desk answers that it is so.
pub(crate) async fn admin(sim: Arc<Sim>, orders: Orders) {
    for (at, word) in orders.words {
        tokio::time::sleep(at.saturating_sub(sim.elapsed())).await;
        while !order(&sim, orders.device, word).await {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        sim.state().counts.orders += 1;
        sim.note(|| format!("the desk knows of {word:?} for device {}", orders.device));
    }
    sim.state().orders_done += 1;
}

/// Gives an order at the desk, whose answer dies with it; whether it is so now.
async fn order(sim: &Arc<Sim>, device: usize, word: Word) -> bool {
    let Some(service) = sim.state().admin.clone() else { return false };
    let reason = String::from("a word");
    let order = match word {
        Word::Suspend => StandingOrder::Suspend { reason },
        Word::Resume => StandingOrder::Resume,
        Word::Revoke => StandingOrder::Revoke { reason, kind: RevocationKind::Lost },
    };
    let request = Request::post(format!("/v1/devices/{}/standing", sim.world.devices[device].id))
        .header("host", "localhost")
        .header("authorization", format!("Bearer {}", sim.site.admin_token()))
        .header("content-type", "application/json")
        .body(Body::from(serde_json::to_vec(&order).expect("plain fields")))
        .expect("a device's id fits a path");
    let handling = tokio::spawn(async move {
        let response = match service.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.expect("the desk's answers are in memory");
        (status, body)
    });
    sim.runs(Party::Desk, handling.abort_handle());
    match handling.await {
        Ok((status, _)) if status.is_success() => true,
        Ok((status, body)) => {
            sim.violated(format!("the desk refuses {word:?} with {status}: {}", String::from_utf8_lossy(&body)));
            true
        }
        // Killed.
        Err(_) => false,
    }
}

/// Makes the faults that have a time happen at it.
pub(crate) async fn fate(sim: Arc<Sim>, fault: Fault) {
    use crate::plan::Moment;
    let until = |at: Duration| tokio::time::sleep(at.saturating_sub(sim.elapsed()));
    match fault {
        Fault::Crash { party, moment: Moment::At(at), down } => {
            until(at).await;
            sim.crash(party, down, "at some moment");
        }
        Fault::Restore { backup, restore } => {
            until(backup).await;
            sim.back_up_front();
            until(restore).await;
            sim.crash(Party::Front, Duration::from_millis(100), "to be restored");
        }
        Fault::Jump { party, at, seconds } => {
            until(at).await;
            sim.jump(party, seconds);
        }
        Fault::Partition { .. } => sim.state().counts.partitions += 1,
        Fault::Crash { .. } => {}
    }
}
