use std::{
    ffi::OsString,
    future,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use tokio::sync::mpsc;
use windows_service::{
    define_windows_service,
    service::{
        ServiceAccess, ServiceAction, ServiceActionType, ServiceControl, ServiceControlAccept, ServiceErrorControl,
        ServiceExitCode, ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo, ServiceStartType, ServiceState,
        ServiceStatus, ServiceType,
    },
    service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle},
    service_dispatcher,
    service_manager::{ServiceManager, ServiceManagerAccess},
};

use super::{NAME, Plan, STOP_WITHIN_S, ServiceError};

/// The hub as a service of Windows; it has no services of a user.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Must be false.
    pub is_of_user: bool,
}

impl Service {
    /// Makes the service and starts it, now and with the computer; it is started anew after a failure.
    ///
    /// # Errors
    /// [`ServiceError`] when Windows refuses: the command has to run as administrator.
    pub fn install(self, plan: &Plan) -> Result<(), ServiceError> {
        let access = ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE;
        let info = ServiceInfo {
            name: NAME.into(),
            display_name: "Tazune hub".into(),
            service_type: ServiceType::OWN_PROCESS,
            start_type: ServiceStartType::AutoStart,
            error_control: ServiceErrorControl::Normal,
            executable_path: plan.program.clone(),
            launch_arguments: arguments(plan),
            dependencies: Vec::new(),
            account_name: Some(account(plan)),
            account_password: None,
        };
        let all = ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
        let service = self.manager(access)?.create_service(&info, all).map_err(ServiceError::new)?;
        let restart =
            |seconds| ServiceAction { action_type: ServiceActionType::Restart, delay: Duration::from_secs(seconds) };
        let actions = ServiceFailureActions {
            reset_period: ServiceFailureResetPeriod::After(Duration::from_secs(3600)),
            reboot_msg: None,
            command: None,
            actions: Some(vec![restart(5), restart(5), restart(60)]),
        };
        service.update_failure_actions(actions).map_err(ServiceError::new)?;
        // Also when it ended by itself with a failure, not only when it vanished.
        service.set_failure_actions_on_non_crash_failures(true).map_err(ServiceError::new)?;
        service.start::<OsString>(&[]).map_err(ServiceError::new)
    }

    /// What [`Service::install`] would do, as text.
    ///
    /// # Errors
    /// As [`Service::install`], except that nothing is asked of the system.
    pub fn would_install(self, plan: &Plan) -> Result<String, ServiceError> {
        let words: Vec<_> = arguments(plan).iter().map(|word| format!("{word:?}")).collect();
        let program = plan.program.display();
        Ok(format!("service {NAME}\naccount {:?}\nruns {program} {}\n", account(plan), words.join(" ")))
    }

    /// Stops the service and takes it away; data stays.
    ///
    /// # Errors
    /// [`ServiceError`] when there is none, or Windows refuses.
    pub fn uninstall(self) -> Result<(), ServiceError> {
        let access = ServiceAccess::QUERY_STATUS | ServiceAccess::STOP | ServiceAccess::DELETE;
        let service =
            self.manager(ServiceManagerAccess::CONNECT)?.open_service(NAME, access).map_err(ServiceError::new)?;
        service.delete().map_err(ServiceError::new)?;
        if service.query_status().map_err(ServiceError::new)?.current_state != ServiceState::Stopped {
            service.stop().map_err(ServiceError::new)?;
        }
        Ok(())
    }

    /// What [`Service::uninstall`] would do, as text.
    ///
    /// # Errors
    /// [`ServiceError`] when there is no service.
    pub fn would_uninstall(self) -> Result<String, ServiceError> {
        self.status()?;
        Ok(format!("stop and delete the service {NAME}\n"))
    }

    /// What Windows says of the service.
    ///
    /// # Errors
    /// [`ServiceError`] when there is none, or Windows cannot be asked.
    pub fn status(self) -> Result<String, ServiceError> {
        let manager = self.manager(ServiceManagerAccess::CONNECT)?;
        let service = manager.open_service(NAME, ServiceAccess::QUERY_STATUS).map_err(ServiceError::new)?;
        let status = service.query_status().map_err(ServiceError::new)?;
        Ok(format!("State={:?}\nExitCode={:?}\n", status.current_state, status.exit_code))
    }

    fn manager(self, access: ServiceManagerAccess) -> Result<ServiceManager, ServiceError> {
        if self.is_of_user {
            return Err(ServiceError::new("Windows has no services of a user: leave out --user"));
        }
        ServiceManager::local_computer(None::<&str>, access).map_err(ServiceError::new)
    }
}

/// `serve` has to know that the service manager waits for it.
fn arguments(plan: &Plan) -> Vec<OsString> {
    plan.arguments.iter().map(OsString::from).chain([OsString::from("--as-service")]).collect()
}

/// The account of the service alone, unless another is named; it has to be given the data folder.
fn account(plan: &Plan) -> OsString {
    plan.account.clone().map_or_else(|| format!("NT SERVICE\\{NAME}").into(), OsString::from)
}

/// Where the service's entry point finds what [`Manager::connect`] made: Windows calls it without arguments of ours.
static ENTRY: Mutex<Option<Entry>> = Mutex::new(None);

struct Entry {
    asked: mpsc::UnboundedSender<()>,
    handle: std::sync::mpsc::Sender<windows_service::Result<ServiceStatusHandle>>,
}

define_windows_service!(ffi_entry, entry);

fn entry(_: Vec<OsString>) {
    let Some(Entry { asked, handle }) = ENTRY.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    let control = move |control| match control {
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        ServiceControl::Stop | ServiceControl::Shutdown => {
            let _ = asked.send(());
            ServiceControlHandlerResult::NoError
        }
        _ => ServiceControlHandlerResult::NotImplemented,
    };
    let _ = handle.send(service_control_handler::register(NAME, control));
}

/// The service control manager, if it started this process.
#[derive(Debug)]
pub struct Manager(Option<Connected>);

#[derive(Debug)]
struct Connected {
    handle: ServiceStatusHandle,
    asked: tokio::sync::Mutex<mpsc::UnboundedReceiver<()>>,
}

impl Manager {
    /// Reports to it, if `is_service`.
    ///
    /// # Errors
    /// [`ServiceError`] when it did not start this process.
    pub fn connect(is_service: bool) -> Result<Self, ServiceError> {
        if !is_service {
            return Ok(Self(None));
        }
        let (asked, asks) = mpsc::unbounded_channel();
        let (handle, handles) = std::sync::mpsc::channel();
        *ENTRY.lock().unwrap_or_else(PoisonError::into_inner) = Some(Entry { asked, handle });
        // The dispatcher keeps its thread until the service has stopped.
        let dispatcher = thread::spawn(|| service_dispatcher::start(NAME, ffi_entry));
        let handle = loop {
            match handles.recv_timeout(Duration::from_millis(100)) {
                Ok(handle) => break handle.map_err(ServiceError::new)?,
                Err(_) if dispatcher.is_finished() => {
                    return Err(ServiceError::new("--as-service is for the service control manager"));
                }
                Err(_) => {}
            }
        };
        let manager = Self(Some(Connected { handle, asked: tokio::sync::Mutex::new(asks) }));
        manager.report(ServiceState::StartPending, ServiceExitCode::NO_ERROR);
        Ok(manager)
    }

    /// The hub serves.
    pub fn ready(&self) {
        self.report(ServiceState::Running, ServiceExitCode::NO_ERROR);
    }

    /// Windows does not ask.
    #[must_use]
    pub fn alive_every(&self) -> Option<Duration> {
        None
    }

    /// Nothing: Windows does not ask.
    pub fn alive(&self) {}

    /// The hub was asked to stop.
    pub fn stopping(&self) {
        self.report(ServiceState::StopPending, ServiceExitCode::NO_ERROR);
    }

    /// Waits until the manager asks to stop.
    pub async fn asked_to_stop(&self) {
        let Some(Connected { asked, .. }) = &self.0 else { return future::pending().await };
        if asked.lock().await.recv().await.is_none() {
            future::pending().await
        }
    }

    /// The hub has stopped.
    pub fn stopped(self, exit_code: u8) {
        let exit_code = match exit_code {
            0 => ServiceExitCode::NO_ERROR,
            code => ServiceExitCode::ServiceSpecific(code.into()),
        };
        self.report(ServiceState::Stopped, exit_code);
    }

    fn report(&self, state: ServiceState, exit_code: ServiceExitCode) {
        let Some(Connected { handle, .. }) = &self.0 else { return };
        let controls_accepted = match state {
            ServiceState::Running => ServiceControlAccept::STOP | ServiceControlAccept::SHUTDOWN,
            _ => ServiceControlAccept::empty(),
        };
        let wait_hint = match state {
            ServiceState::StartPending | ServiceState::StopPending => Duration::from_secs(STOP_WITHIN_S),
            _ => Duration::ZERO,
        };
        let status = ServiceStatus {
            service_type: ServiceType::OWN_PROCESS,
            current_state: state,
            controls_accepted,
            exit_code,
            checkpoint: 0,
            wait_hint,
            process_id: None,
        };
        if let Err(error) = handle.set_service_status(status) {
            tracing::warn!(%error, "the service manager could not be told");
        }
    }
}
