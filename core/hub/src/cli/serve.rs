use std::{
    io::{self, IsTerminal as _},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
};

use clap::{Args, ValueEnum};
use serde::Serialize;
use tazune_hub::{
    Random, Stop, SystemClock,
    config::FrontAddress,
    desk::{Desk, FrontAt},
    front::Front,
};
use tazune_model::Clock;
use tracing_subscriber::EnvFilter;

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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    Both,
    Front,
    Desk,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    front: Option<SocketAddr>,
    admin: Option<SocketAddr>,
}

impl Serve {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let is_terminal = io::stderr().is_terminal();
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(is_terminal).init();
        if self.front_address.is_some() && self.role != Role::Desk {
            return Err(Failure::new(Exit::Usage, None, "--front-address is for a desk without a front: --role desk"));
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (stop, stopping) = Stop::new();
        // From here on a signal asks: it may come as soon as the hub says that it is ready.
        let asked_to_stop = asked_to_stop()?;

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
                Some(Desk::open(&folder, front_at, clock, Random::system(), stopping).await?)
            }
        };

        self.say_ready(front.as_ref().map(Front::address), desk.as_ref().map(Desk::admin_address))?;
        let serving = async {
            tokio::join!(
                async {
                    if let Some(front) = front {
                        front.serve().await;
                    }
                },
                async {
                    if let Some(desk) = desk {
                        desk.serve().await;
                    }
                }
            )
        };
        let asked = async {
            asked_to_stop.await;
            tracing::info!("stopping");
            stop.stop();
        };
        tokio::join!(serving, asked);
        Ok(())
    }

    fn folder(&self, own: Option<&PathBuf>, name: &str) -> Result<PathBuf, Failure> {
        let in_data = self.data.as_ref().map(|data| data.join(name));
        own.cloned()
            .or(in_data)
            .ok_or_else(|| Failure::new(Exit::Usage, None, format!("give --data DIR or --{name}-data DIR")))
    }

    fn say_ready(&self, front: Option<SocketAddr>, admin: Option<SocketAddr>) -> io::Result<()> {
        if self.ready_json {
            let ready = Ready { ready: true, front, admin };
            return output::line(serde_json::to_string(&ready).expect("addresses are plain text"));
        }
        if let Some(front) = front {
            output::line(format!("Devices are served at {front}."))?;
        }
        if let Some(admin) = admin {
            output::line(format!("Commands are served at {admin}."))?;
        }
        Ok(())
    }
}

/// Takes the signals over at once; what is returned waits for one.
#[cfg(unix)]
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Takes the signals over at once; what is returned waits for one.
#[cfg(windows)]
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};
    let (mut interrupt, mut pause) = (ctrl_c()?, ctrl_break()?);
    let (mut close, mut shutdown) = (ctrl_close()?, ctrl_shutdown()?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = pause.recv() => {}
            _ = close.recv() => {}
            _ = shutdown.recv() => {}
        }
    })
}
