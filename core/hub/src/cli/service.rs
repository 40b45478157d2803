use std::{
    env, io,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueEnum as _};
use tazune_hub::{
    config::{ServiceNeeds, SettingError},
    service::{Plan, Service as SystemService},
};

use super::{Failure, output, serve::Role};

#[derive(Debug, Args)]
pub(super) struct Service {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make the service and start it, now and with the computer.
    Install(Install),
    /// Stop the service and take it away; data stays.
    Uninstall(Uninstall),
    /// Tell what the service manager knows.
    Status(Of),
}

#[derive(Debug, Args)]
struct Install {
    /// The folder that `init` made.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// What to run.
    #[arg(long, value_enum, default_value_t = Role::Both)]
    role: Role,
    /// Serve `/healthz` and `/metrics` at this port of this computer.
    #[arg(long, value_name = "PORT")]
    ops_port: Option<u16>,
    /// The account that the service runs as [default: the owner of the data folder; on Windows one of its own].
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    #[command(flatten)]
    of: Of,
    /// Only tell what would be done.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct Uninstall {
    #[command(flatten)]
    of: Of,
    /// Only tell what would be done.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, Args)]
struct Of {
    /// A service of the person who asks, instead of the whole computer (systemd only).
    #[arg(long)]
    user: bool,
}

impl Of {
    const fn service(self) -> SystemService {
        SystemService { is_of_user: self.user }
    }
}

impl Service {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::Install(install) => install.run(),
            Verb::Uninstall(Uninstall { of, dry_run: true }) => tell(&of.service().would_uninstall()?),
            Verb::Uninstall(Uninstall { of, dry_run: false }) => {
                of.service().uninstall()?;
                tell("The service is taken away. The data folder is still there.")
            }
            Verb::Status(of) => tell(&of.service().status()?),
        }
    }
}

impl Install {
    fn run(self) -> Result<(), Failure> {
        let (service, plan) = (self.of.service(), self.plan()?);
        if self.dry_run {
            return tell(&service.would_install(&plan)?);
        }
        service.install(&plan)?;
        tell("The service is installed and started. `tazune-hub service status` tells how it is doing.")
    }

    fn plan(&self) -> Result<Plan, Failure> {
        let data = absolute(&self.data)?;
        let role = self.role.to_possible_value().expect("no role is hidden").get_name().to_owned();
        let mut needs = ServiceNeeds::default();
        if self.role != Role::Desk {
            needs.of_front(&data.join("front"))?;
        }
        if self.role != Role::Front {
            needs.of_desk(&data.join("desk"))?;
        }
        let log_folder = data.join("log");
        let mut arguments = vec!["serve".to_owned(), "--role".into(), role];
        for (option, path) in [("--data", &data), ("--log-folder", &log_folder)] {
            let path = path.to_str().ok_or_else(|| SettingError::value("data folder", "is not Unicode"))?;
            arguments.extend([option.into(), path.into()]);
        }
        if let Some(port) = self.ops_port {
            arguments.extend(["--ops-port".into(), port.to_string()]);
        }
        let program = env::current_exe()?;
        let writes_to = [data].into_iter().chain(needs.writes_to).collect();
        Ok(Plan { program, arguments, writes_to, account: self.account.clone(), needs_low_port: needs.low_port })
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    // Asked of the disk, so that a wrong path is noticed; without the form that Windows then gives it.
    path.metadata().map_err(SettingError::file(path))?;
    Ok(std::path::absolute(path)?)
}

fn tell(text: &str) -> Result<(), Failure> {
    let told: io::Result<()> = output::line(text.trim_end());
    Ok(told?)
}
