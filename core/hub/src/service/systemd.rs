use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use sd_notify::NotifyState;

use super::{NAME, Plan, STOP_WITHIN_S, ServiceError};

/// The hub as a unit of systemd.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Of the person who asks, instead of the whole computer.
    pub is_of_user: bool,
}

impl Service {
    /// Writes the unit and starts it, now and with the computer.
    ///
    /// # Errors
    /// [`ServiceError`] when the plan cannot be written as a unit, or the system refuses.
    pub fn install(self, plan: &Plan) -> Result<(), ServiceError> {
        let (path, unit) = (self.path()?, self.unit(plan)?);
        let folder = path.parent().ok_or_else(|| ServiceError::new("the unit has no folder"))?;
        let write = || {
            fs::create_dir_all(folder)?;
            fs::File::create(&path)?.write_all(unit.as_bytes())
        };
        write().map_err(|error| ServiceError::new(format!("{}: {error}", path.display())))?;
        self.commands_after_install().iter().try_for_each(|arguments| self.systemctl(arguments).map(drop))
    }

    /// What [`Service::install`] would do, as text.
    ///
    /// # Errors
    /// As [`Service::install`], except that nothing is asked of the system.
    pub fn would_install(self, plan: &Plan) -> Result<String, ServiceError> {
        let mut told = format!("# {}\n{}", self.path()?.display(), self.unit(plan)?);
        for arguments in self.commands_after_install() {
            told.push_str(&format!("# systemctl {}\n", self.scoped(&arguments).join(" ")));
        }
        Ok(told)
    }

    /// Stops the unit and takes it away; data stays.
    ///
    /// # Errors
    /// [`ServiceError`] when there is none, or the system refuses.
    pub fn uninstall(self) -> Result<(), ServiceError> {
        let path = self.installed()?;
        self.systemctl(&["disable", "--now", NAME])?;
        fs::remove_file(&path).map_err(|error| ServiceError::new(format!("{}: {error}", path.display())))?;
        self.systemctl(&["daemon-reload"]).map(drop)
    }

    /// What [`Service::uninstall`] would do, as text.
    ///
    /// # Errors
    /// [`ServiceError`] when there is no unit.
    pub fn would_uninstall(self) -> Result<String, ServiceError> {
        let stop = self.scoped(&["disable", "--now", NAME]).join(" ");
        let reload = self.scoped(&["daemon-reload"]).join(" ");
        Ok(format!("# systemctl {stop}\n# remove {}\n# systemctl {reload}\n", self.installed()?.display()))
    }

    /// What systemd says of the unit, one `Name=value` a line.
    ///
    /// # Errors
    /// [`ServiceError`] when there is no unit, or systemd cannot be asked.
    pub fn status(self) -> Result<String, ServiceError> {
        self.installed()?;
        let properties = "--property=ActiveState,SubState,MainPID,NRestarts,ExecMainStatus,StatusText";
        self.systemctl(&["show", NAME, properties])
    }

    fn path(self) -> Result<PathBuf, ServiceError> {
        let folder = if self.is_of_user {
            let home = || env::home_dir().map(|home| home.join(".config"));
            let own = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
            own.or_else(home).ok_or_else(|| ServiceError::new("there is no home folder"))?.join("systemd/user")
        } else {
            PathBuf::from("/etc/systemd/system")
        };
        Ok(folder.join(format!("{NAME}.service")))
    }

    fn installed(self) -> Result<PathBuf, ServiceError> {
        let path = self.path()?;
        match path.exists() {
            true => Ok(path),
            false => Err(ServiceError::new(format!("{}: there is no such unit", path.display()))),
        }
    }

    fn commands_after_install(self) -> [Vec<&'static str>; 3] {
        [vec!["daemon-reload"], vec!["enable", NAME], vec!["restart", NAME]]
    }

    fn scoped<'a>(self, arguments: &[&'a str]) -> Vec<&'a str> {
        let scope: &[&str] = if self.is_of_user { &["--user"] } else { &[] };
        [scope, arguments].concat()
    }

    fn systemctl(self, arguments: &[&str]) -> Result<String, ServiceError> {
        let arguments = self.scoped(arguments);
        let failed =
            |why: &dyn std::fmt::Display| ServiceError::new(format!("systemctl {}: {why}", arguments.join(" ")));
        let output = Command::new("systemctl").args(&arguments).output().map_err(|error| failed(&error))?;
        if !output.status.success() {
            return Err(failed(&String::from_utf8_lossy(&output.stderr).trim()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The unit as text; `man systemd.exec` and `systemd.service` explain the words.
    fn unit(self, plan: &Plan) -> Result<String, ServiceError> {
        let program = command_word(text(&plan.program)?);
        let arguments: Vec<_> = plan.arguments.iter().map(|argument| command_word(argument)).collect();
        let (data, others) =
            plan.writes_to.split_first().ok_or_else(|| ServiceError::new("no data folder is given"))?;
        // A share that is away (`-`) keeps the hub from writing there, and not from starting.
        let folders = [path_word("", data)].into_iter().chain(others.iter().map(|folder| path_word("-", folder)));
        let folders = folders.collect::<Result<Vec<_>, _>>()?;
        let user = match (self.is_of_user, &plan.account) {
            (true, _) => String::new(),
            (false, Some(account)) if account.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) => {
                format!("User={account}\n")
            }
            (false, Some(account)) => return Err(ServiceError::new(format!("{account:?} is no account's name"))),
            (false, None) => format!("User={}\n", owner(data)?),
        };
        let (capability, port) = match plan.needs_low_port {
            true => ("CAP_NET_BIND_SERVICE", "AmbientCapabilities=CAP_NET_BIND_SERVICE\n"),
            false => ("", ""),
        };
        // What a user's own manager cannot set up without rights is left out there.
        let of_computer = format!(
            "{user}{port}CapabilityBoundingSet={capability}\n\
             ProtectSystem=strict\nProtectHome=read-only\nReadWritePaths={}\nPrivateTmp=yes\nPrivateDevices=yes\n\
             ProtectClock=yes\nProtectControlGroups=yes\nProtectHostname=yes\nProtectKernelLogs=yes\n\
             ProtectKernelModules=yes\nProtectKernelTunables=yes\nProtectProc=invisible\nRestrictNamespaces=yes\n\
             RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX\n",
            folders.join(" ")
        );
        let (rights, target) = match self.is_of_user {
            true => (String::new(), "default.target"),
            false => (of_computer, "multi-user.target"),
        };
        Ok(format!(
            "[Unit]\n\
             Description=Tazune hub\n\
             Wants=network-online.target\n\
             After=network-online.target\n\
             StartLimitIntervalSec=0\n\
             \n\
             [Service]\n\
             Type=notify\n\
             NotifyAccess=main\n\
             ExecStart={program} {}\n\
             Restart=on-failure\n\
             RestartSec=5\n\
             # A wrong command line or setting does not mend itself.\n\
             RestartPreventExitStatus=2 3\n\
             # An upgrade copies the database first.\n\
             TimeoutStartSec=infinity\n\
             TimeoutStopSec={STOP_WITHIN_S}\n\
             WatchdogSec=180\n\
             UMask=0077\n\
             NoNewPrivileges=yes\n\
             LockPersonality=yes\n\
             MemoryDenyWriteExecute=yes\n\
             RestrictRealtime=yes\n\
             RestrictSUIDSGID=yes\n\
             SystemCallArchitectures=native\n\
             SystemCallFilter=@system-service\n\
             {rights}\n\
             [Install]\n\
             WantedBy={target}\n",
            arguments.join(" ")
        ))
    }
}

/// A path as text: a unit is UTF-8.
fn text(path: &Path) -> Result<&str, ServiceError> {
    path.to_str().ok_or_else(|| ServiceError::new(format!("{}: a unit can only name UTF-8", path.display())))
}

/// A word of `ExecStart`: quoted, with its escapes, and neither specifiers (`%`) nor variables (`$`).
fn command_word(word: &str) -> String {
    let mut quoted = String::from("\"");
    for character in word.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '%' | '$' => quoted.extend([character, character]),
            character => quoted.push(character),
        }
    }
    quoted + "\""
}

/// A word of a list of paths, after its prefix; quotes keep spaces together but nothing can be escaped.
fn path_word(prefix: &str, path: &Path) -> Result<String, ServiceError> {
    let path = text(path)?;
    if path.contains(['"', '\\', '\n']) {
        return Err(ServiceError::new(format!("{path:?}: a unit cannot write a path with quotes or backslashes")));
    }
    Ok(format!("\"{prefix}{}\"", path.replace('%', "%%")))
}

/// The number of the account that owns the data.
fn owner(data: &Path) -> Result<u32, ServiceError> {
    fs::metadata(data)
        .map(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata))
        .map_err(|error| ServiceError::new(format!("{}: {error}", data.display())))
}

/// The service manager that started this process, if one did; it listens where `NOTIFY_SOCKET` says.
#[derive(Debug)]
pub struct Manager(());

impl Manager {
    /// Whoever it is.
    ///
    /// # Errors
    /// Never here.
    pub fn connect(_is_service: bool) -> Result<Self, ServiceError> {
        Ok(Self(()))
    }

    /// The hub serves.
    pub fn ready(&self) {
        tell(NotifyState::Ready);
    }

    /// The hub is alive; to be told this often, if at all.
    #[must_use]
    pub fn alive_every(&self) -> Option<Duration> {
        sd_notify::watchdog_enabled().map(|within| within / 3)
    }

    /// The hub is alive.
    pub fn alive(&self) {
        tell(NotifyState::Watchdog);
    }

    /// The hub was asked to stop.
    pub fn stopping(&self) {
        tell(NotifyState::Stopping);
    }

    /// Waits until the manager asks to stop, which it does by a signal here.
    pub async fn asked_to_stop(&self) {
        std::future::pending().await
    }

    /// The hub has stopped; the exit code says how.
    pub fn stopped(self, _exit_code: u8) {}
}

fn tell(state: NotifyState<'_>) {
    // Without a manager this does nothing.
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(folder: &Path) -> Plan {
        Plan {
            program: "/usr/bin/tazune-hub".into(),
            arguments: vec!["serve".into(), "--data".into(), folder.to_str().unwrap().into()],
            writes_to: vec![folder.into()],
            account: None,
            needs_low_port: false,
        }
    }

    const OF_COMPUTER: Service = Service { is_of_user: false };

    #[test]
    fn words_with_spaces_percent_dollars_and_quotes_stay_one_word_each() {
        for (word, written) in [
            ("plain", r#""plain""#),
            ("/data of 50 %/$HOME", r#""/data of 50 %%/$$HOME""#),
            (r#"a"b\c"#, r#""a\"b\\c""#),
            ("医院\n", "\"医院\\n\""),
        ] {
            assert_eq!(command_word(word), written);
        }
        assert_eq!(path_word("", Path::new("/data of 50 %/$x")).unwrap(), r#""/data of 50 %%/$x""#);
        for path in ["/a\"b", "/a\\b", "/a\nb"] {
            assert!(path_word("", Path::new(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn the_service_runs_as_the_owner_of_the_data_or_as_who_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(folder.path()).unwrap());
        let unit = |account: Option<&str>| {
            OF_COMPUTER.unit(&Plan { account: account.map(ToOwned::to_owned), ..plan(folder.path()) })
        };
        assert!(unit(None).unwrap().contains(&format!("\nUser={owner}\n")));
        assert!(unit(Some("tazune")).unwrap().contains("\nUser=tazune\n"));
        assert!(unit(Some("root\nExecStartPre=/bin/x")).is_err());
        assert!(!Service { is_of_user: true }.unit(&plan(folder.path())).unwrap().contains("User="));
    }

    #[test]
    fn only_the_data_folder_has_to_be_there_when_the_service_starts() {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = plan(folder.path());
        plan.writes_to.push("/a share/face".into());
        let unit = OF_COMPUTER.unit(&plan).unwrap();
        let data = folder.path().to_str().unwrap();
        assert!(unit.contains(&format!("\nReadWritePaths=\"{data}\" \"-/a share/face\"\n")), "{unit}");
    }

    #[test]
    fn only_a_low_port_gives_the_right_to_take_one() {
        let folder = tempfile::tempdir().unwrap();
        let unit = |needs_low_port| OF_COMPUTER.unit(&Plan { needs_low_port, ..plan(folder.path()) }).unwrap();
        assert!(unit(false).contains("\nCapabilityBoundingSet=\n") && !unit(false).contains("Ambient"));
        assert!(unit(true).contains("\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n"));
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "what was not tested is named")]
    fn systemd_reads_the_unit_without_a_complaint_and_finds_it_well_hardened() {
        let folder = tempfile::Builder::new().prefix("a hub of 50 % ").tempdir().unwrap();
        // It has to be there, and runnable.
        let program = PathBuf::from("/bin/true");
        let writes_to = vec![folder.path().into(), folder.path().join("a share that is away")];
        let unit = OF_COMPUTER.unit(&Plan { program, needs_low_port: true, writes_to, ..plan(folder.path()) }).unwrap();
        let path = folder.path().join("tazune-hub.service");
        fs::write(&path, unit).unwrap();
        let analyze = |arguments: &[&str]| Command::new("systemd-analyze").args(arguments).arg(&path).output();
        let Ok(verified) = analyze(&["verify", "--man=no"]) else {
            assert!(env::var_os("TAZUNE_SYSTEMD").is_none(), "systemd-analyze is part of the package systemd");
            return eprintln!("SKIPPED: systemd-analyze is not there");
        };
        let told = String::from_utf8_lossy(&verified.stderr);
        assert!(verified.status.success() && !told.contains("tazune-hub.service"), "{told}");
        let security = analyze(&["security", "--offline=yes", "--threshold=35", "--no-pager"]).unwrap();
        assert!(security.status.success(), "{}", String::from_utf8_lossy(&security.stdout));
    }
}
