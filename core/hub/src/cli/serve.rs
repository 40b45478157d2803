use std::{future::pending, io, net::SocketAddr, path::PathBuf, process, sync::Arc};

use clap::{Args, ValueEnum};
use serde::Serialize;
use tazune_hub::{
    Health, OpsPort, Random, StartError, Stop, SystemClock,
    config::FrontAddress,
    desk::{Desk, FrontAt},
    front::Front,
    logs,
    service::Manager,
    telemetry::Telemetry,
};
use tazune_model::Clock;

use super::{Exit, Failure, output};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The folder that `init` made.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What to run.
    #[arg(long, value_enum, default_value_t = Role::Both)]
    role: Role,
    /// The front's own folder [default: `front` in the data folder].
    #[arg(long, value_name = "DIR")]
    front_data: Option<PathBuf>,
    /// The desk's own folder [default: `desk` in the data folder].
    #[arg(long, value_name = "DIR")]
    desk_data: Option<PathBuf>,
    /// With `--role desk`: where it, and devices paired from now on, find the front, in place of the settings.
    #[arg(long, value_name = "https://HOST:PORT")]
    front_address: Option<FrontAddress>,
    /// Say in one line of JSON when the hub is ready, and at which addresses.
    #[arg(long)]
    ready_json: bool,
    /// Log to files in this folder, about 100 MB at most, instead of standard error.
    #[arg(long, value_name = "DIR")]
    log_folder: Option<PathBuf>,
    /// Serve `/healthz` and `/metrics` at this port of this computer only; 0 lets the system choose.
    #[arg(long, value_name = "PORT")]
    ops_port: Option<u16>,
    /// Report to the service control manager, which started this.
    #[cfg(windows)]
    #[arg(long, hide = true)]
    as_service: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Role {
    /// Front and desk in one process.
    Both,
    /// The mailbox that devices reach.
    Front,
    /// What opens envelopes, beside the terminal.
    Desk,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    front: Option<SocketAddr>,
    admin: Option<SocketAddr>,
    ops: Option<SocketAddr>,
}

impl Serve {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let log_folder = self.log_folder.as_deref();
        logs::start(log_folder)?;
        let manager = Manager::connect(self.is_as_service())?;
        let served = self.serve(&manager).await;
        if let (Err(failure), Some(_)) = (&served, log_folder) {
            // Nobody reads the standard error of a service.
            tracing::error!(%failure, "the hub ends");
        }
        manager.stopped(served.as_ref().err().map_or(Exit::Done, Failure::exit) as u8);
        served
    }

    async fn serve(&self, manager: &Manager) -> Result<(), Failure> {
        if self.front_address.is_some() && self.role != Role::Desk {
            return Err(Failure::new(Exit::Usage, None, "--front-address is for a desk without a front: --role desk"));
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (stop, stopping) = Stop::new();
        // From here on a signal asks: it may come as soon as the hub says that it is ready.
        let mut signals = Signals::take()?;
        if self.ops_port.is_some() {
            // Before anything that is counted.
            Telemetry::install();
        }

        let front = match self.role {
            Role::Desk => None,
            Role::Both | Role::Front => {
                let folder = self.folder(self.front_data.as_ref(), "front")?;
                Some(Front::open(&folder, clock.clone(), stopping.clone()).await?)
            }
        };
        let front_at = match (&front, &self.front_address) {
            (Some(front), _) => FrontAt::Here(front.address()),
            (None, Some(address)) => FrontAt::Address(address.clone()),
            (None, None) => FrontAt::Settings,
        };
        let desk = match self.role {
            Role::Front => None,
            Role::Both | Role::Desk => {
                let folder = self.folder(self.desk_data.as_ref(), "desk")?;
                Some(Desk::open(&folder, front_at, clock, Random::system(), stopping.clone()).await?)
            }
        };
        let healths: Vec<_> =
            front.as_ref().map(Front::health).into_iter().chain(desk.as_ref().map(Desk::health)).collect();
        let ops = match self.ops_port {
            None => None,
            Some(port) => {
                let folder = match self.role {
                    Role::Front => self.folder(self.front_data.as_ref(), "front")?,
                    Role::Both | Role::Desk => self.folder(self.desk_data.as_ref(), "desk")?,
                };
                Some(OpsPort::open(port, &folder, healths.clone(), &Random::system(), stopping).await?)
            }
        };

        self.say_ready(&Ready {
            ready: true,
            front: front.as_ref().map(Front::address),
            admin: desk.as_ref().map(Desk::admin_address),
            ops: ops.as_ref().map(OpsPort::address),
        })?;
        manager.ready();
        // A role that ends by itself ends the other: half a hub helps nobody.
        let front = async {
            let ended = match front {
                Some(front) => front.serve().await,
                None => return Ok(()),
            };
            stop.stop();
            ended
        };
        let desk = async {
            let ended = match desk {
                Some(desk) => desk.serve().await,
                None => return Ok(()),
            };
            stop.stop();
            ended
        };
        let ops = async {
            if let Some(ops) = ops {
                ops.serve().await;
            }
        };
        let serving = async {
            let (front, desk, ()) = tokio::join!(front, desk, ops);
            front.and(desk).map_err(StartError::from)
        };
        let asked = async {
            tokio::select! {
                () = signals.next() => {}
                () = manager.asked_to_stop() => {}
            }
            tracing::info!("stopping");
            manager.stopping();
            stop.stop();
            // Who asks again does not want to wait: whatever was acknowledged is on the disk.
            signals.next().await;
            tracing::warn!("stopped at once");
            process::exit(i32::from(Exit::StoppedAtOnce as u8));
        };
        tokio::select! {
            served = serving => Ok(served?),
            () = asked => Ok(()),
            () = keep_alive(manager, &healths) => Ok(()),
        }
    }

    fn folder(&self, own: Option<&PathBuf>, name: &str) -> Result<PathBuf, Failure> {
        let in_data = self.data.as_ref().map(|data| data.join(name));
        own.cloned()
            .or(in_data)
            .ok_or_else(|| Failure::new(Exit::Usage, None, format!("give --data DIR or --{name}-data DIR")))
    }

    fn say_ready(&self, ready: &Ready) -> io::Result<()> {
        if self.ready_json {
            return output::line(serde_json::to_string(ready).expect("addresses are plain text"));
        }
        if let Some(front) = ready.front {
            output::line(format!("Devices are served at {front}."))?;
        }
        if let Some(admin) = ready.admin {
            output::line(format!("Commands are served at {admin}."))?;
        }
        if let Some(ops) = ready.ops {
            output::line(format!("Health and metrics are served at {ops}."))?;
        }
        Ok(())
    }

    #[cfg(windows)]
    const fn is_as_service(&self) -> bool {
        self.as_service
    }

    #[cfg(not(windows))]
    #[expect(clippy::unused_self, reason = "only Windows has to be told")]
    const fn is_as_service(&self) -> bool {
        false
    }
}

/// Tells the service manager, as often as it wants, that every role still looks after itself.
async fn keep_alive(manager: &Manager, healths: &[Arc<Health>]) {
    let Some(pause) = manager.alive_every() else { return pending().await };
    loop {
        if healths.iter().all(|health| health.is_alive()) {
            manager.alive();
        }
        tokio::time::sleep(pause).await;
    }
}

/// The signals that ask to stop, taken over from the system.
#[cfg(unix)]
struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    fn take() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    /// Waits for one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

/// The signals that ask to stop, taken over from the system.
#[cfg(windows)]
struct Signals(
    tokio::signal::windows::CtrlC,
    tokio::signal::windows::CtrlBreak,
    tokio::signal::windows::CtrlClose,
    tokio::signal::windows::CtrlShutdown,
);

#[cfg(windows)]
impl Signals {
    fn take() -> io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};
        Ok(Self(ctrl_c()?, ctrl_break()?, ctrl_close()?, ctrl_shutdown()?))
    }

    /// Waits for one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
            _ = self.2.recv() => {}
            _ = self.3.recv() => {}
        }
    }
}
