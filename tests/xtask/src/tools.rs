use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::run::Step;

/// Something a suite needs that a plain Rust installation may lack.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) is_there: fn() -> bool,
    /// The lines that install it; empty when it is fetched by other means.
    pub(crate) install: &'static [Step],
}

impl Tool {
    /// Runs the lines that install the tool and says whether it is there now; `false` when there are none.
    pub(crate) fn install(&self) -> bool {
        !self.install.is_empty() && self.install.iter().all(|step| step.run().succeeded) && (self.is_there)()
    }

    /// One sentence for the person whose run lacks the tool, with the line to type.
    pub(crate) fn missing_note(&self) -> String {
        let lines: Vec<_> = self.install.iter().map(ToString::to_string).collect();
        if lines.is_empty() {
            return format!("{} is missing", self.name);
        }
        format!("{} is missing; to install it: {}", self.name, lines.join(" && "))
    }
}

/// Compiling a tool for one run: optimising it would take longer than it ever saves.
const CHEAP: &[(&str, &str)] = &[
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
];

pub(crate) static RUSTFMT: Tool = Tool {
    name: "rustfmt",
    is_there: || Step::new("cargo", &["fmt", "--version"]).succeeds_quietly(),
    install: &[Step::new("rustup", &["component", "add", "rustfmt"])],
};

pub(crate) static CLIPPY: Tool = Tool {
    name: "clippy",
    is_there: || Step::new("cargo", &["clippy", "--version"]).succeeds_quietly(),
    install: &[Step::new("rustup", &["component", "add", "clippy"])],
};

pub(crate) static CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    is_there: || Step::new("cargo", &["deny", "--version"]).succeeds_quietly(),
    install: &[Step::new("cargo", &["install", "--locked", "cargo-deny", "--version", "0.20.2"]).with(CHEAP)],
};

/// cargo-deny's copy of the advisory database: `cargo deny fetch` where it can be reached.
pub(crate) static ADVISORY_DATABASE: Tool = Tool {
    name: "advisory database",
    is_there: || {
        let databases = cargo_home().join("advisory-dbs");
        databases.read_dir().is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|e| e.path().is_dir())))
    },
    install: &[],
};

pub(crate) static MDBOOK: Tool = Tool {
    name: "mdbook",
    is_there: || Step::new("mdbook", &["--version"]).succeeds_quietly(),
    install: &[Step::new("cargo", &["install", "--locked", "mdbook", "--version", "0.5.4", "--no-default-features"])
        .with(CHEAP)],
};

/// The compiler that libFuzzer's instrumentation needs.
pub(crate) static NIGHTLY: Tool = Tool {
    name: "Rust's nightly compiler",
    is_there: || Step::new("cargo", &["+nightly", "--version"]).succeeds_quietly(),
    install: &[Step::new("rustup", &["toolchain", "install", "nightly", "--profile", "minimal"])],
};

pub(crate) static CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    is_there: || Step::new("cargo", &["fuzz", "--version"]).succeeds_quietly(),
    install: &[Step::new("cargo", &["install", "--locked", "cargo-fuzz", "--version", "0.13.2"]).with(CHEAP)],
};

pub(crate) static WINDOWS_TARGET: Tool = Tool {
    name: "Rust's standard library for x86_64-pc-windows-gnu",
    is_there: || {
        let Ok(output) = Command::new("rustc").args(["--print", "target-libdir", "--target", WINDOWS]).output() else {
            return false;
        };
        PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
    },
    install: &[Step::new("rustup", &["target", "add", WINDOWS])],
};

pub(crate) static MINGW: Tool = Tool {
    name: "the mingw-w64 C compiler",
    is_there: || Step::new("x86_64-w64-mingw32-gcc", &["--version"]).succeeds_quietly(),
    install: &[APT_UPDATE, apt_install(&["install", "--yes", "--no-install-recommends", "gcc-mingw-w64-x86-64"])],
};

pub(crate) static SYSTEMD: Tool = Tool {
    name: "systemd-analyze",
    is_there: || Step::new("systemd-analyze", &["--version"]).succeeds_quietly(),
    install: &[APT_UPDATE, apt_install(&["install", "--yes", "--no-install-recommends", "systemd"])],
};

/// Shows the system calls of a program; there only where this user may trace.
pub(crate) static STRACE: Tool = Tool {
    name: "strace, with the right to trace,",
    is_there: || Step::new("strace", &["-D", "-f", "-o", "/dev/null", "true"]).succeeds_quietly(),
    install: &[APT_UPDATE, apt_install(&["install", "--yes", "--no-install-recommends", "strace"])],
};

/// What the laptop tool needs on Linux to be built with card readers.
pub(crate) static PCSC_LIBRARY: Tool = Tool {
    name: "the PC/SC library with its headers",
    is_there: || Step::new("pkg-config", &["--exists", "libpcsclite"]).succeeds_quietly(),
    install: &[
        APT_UPDATE,
        apt_install(&["install", "--yes", "--no-install-recommends", "libpcsclite-dev", "pkg-config"]),
    ],
};

/// The PC/SC service, a driver for virtual readers, and the peer that judges the virtual card.
pub(crate) static READERS: Tool = Tool {
    name: "pcscd with vpcd, and OpenSC",
    is_there: || {
        let programs = [("pcscd", "--version"), ("opensc-tool", "--version"), ("pkcs11-tool", "--help"), ("ip", "-V")];
        Path::new("/etc/reader.conf.d/vpcd").exists()
            && programs.iter().all(|(program, option)| Command::new(program).arg(option).output().is_ok())
    },
    install: &[
        APT_UPDATE,
        apt_install(&[
            "install",
            "--yes",
            "--no-install-recommends",
            "pcscd",
            "vsmartcard-vpcd",
            "opensc",
            "opensc-pkcs11",
            "iproute2",
        ]),
    ],
};

/// The right to give programs a network and mounts of their own, which root has unless a container takes it away.
pub(crate) static NAMESPACES: Tool = Tool {
    name: "the right to make namespaces (root)",
    is_there: || Step::new("unshare", &["--net", "--mount", "true"]).succeeds_quietly(),
    install: &[],
};

/// The feature of the laptop tool that takes [`PCSC_LIBRARY`]; off by default everywhere.
pub(crate) const READER: &str = "tazune-reader/pcsc";

const APT_UPDATE: Step = Step::new("apt-get", &["update"]);

const fn apt_install(arguments: &'static [&'static str]) -> Step {
    Step::new("apt-get", arguments).with(&[("DEBIAN_FRONTEND", "noninteractive")])
}

pub(crate) static MAVEN: Tool = Tool {
    name: "Maven and a JDK of version 17 or later",
    is_there: || {
        Step::new("mvn", &["--version"]).succeeds_quietly() && Step::new("javac", &["--version"]).succeeds_quietly()
    },
    install: &[
        APT_UPDATE,
        apt_install(&["install", "--yes", "--no-install-recommends", "maven", "default-jdk-headless"]),
    ],
};

pub(crate) static DEBOOTSTRAP: Tool = Tool {
    name: "debootstrap",
    is_there: || Step::new("debootstrap", &["--version"]).succeeds_quietly(),
    install: &[APT_UPDATE, apt_install(&["install", "--yes", "--no-install-recommends", "debootstrap"])],
};

/// A Debian of its own with Swift in it, in the cache folder.
pub(crate) static SWIFT: Tool = Tool {
    name: "Swift in a Debian root (1.5 GB, root only)",
    is_there: || Step::new("ios/on-linux.sh", &["is-there"]).succeeds_quietly(),
    install: &[Step::new("ios/on-linux.sh", &["make"])],
};

/// A session bus and GNOME's key store, for the device's keys on a Linux desktop.
pub(crate) static SECRET_SERVICE: Tool = Tool {
    name: "gnome-keyring with dbus",
    is_there: || {
        ["dbus-daemon", "gnome-keyring-daemon"]
            .iter()
            .all(|program| Step::new(program, &["--version"]).succeeds_quietly())
    },
    install: &[APT_UPDATE, apt_install(&["install", "--yes", "--no-install-recommends", "dbus", "gnome-keyring"])],
};

/// The target of the clinic's PC, as far as it can be checked from Linux.
pub(crate) const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// Whether missing tools may be installed without being asked to: as root in CI.
pub(crate) fn runs_as_root_in_ci() -> bool {
    let is_root = || Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    is_ci() && is_root()
}

/// Whether nobody watches.
pub(crate) fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty())
}

fn cargo_home() -> PathBuf {
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .unwrap_or_default()
}
