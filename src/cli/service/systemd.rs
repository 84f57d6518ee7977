//! The systemd unit.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{MARK, Scope, Service};
use crate::control::location;

/// The unit for this version of systemd; if the version is unknown, for an old one.
pub(super) fn unit(service: &Service, version: Option<u32>) -> String {
    let Service { program, config, .. } = service;
    let mut text = format!(
        "# {MARK}; see `sockeye help service`.\n\
         [Unit]\n\
         Description=sockeye: SOCKS and HTTP proxy over SSH\n\
         Documentation=man:sockeye(1)\n\
         # It reconnects by itself, for as long as it takes.\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         ExecStart={} --config {}\n",
        quoted(program),
        quoted(config),
    );
    text.push_str(match version {
        Some(253..) => "Type=notify-reload\n",
        _ => "Type=notify\nExecReload=/bin/kill -HUP $MAINPID\n",
    });
    text.push_str(match version {
        Some(254..) => "RestartSec=1\nRestartSteps=6\nRestartMaxDelaySec=60\n",
        _ => "RestartSec=5\n",
    });
    text.push_str(COMMON);
    if let Some(agent) = &service.agent {
        let _ = write!(
            text,
            "# The agent of the session in which this was written. A new agent has another socket.\n\
             Environment={}\n",
            quoted(Path::new(&format!("SSH_AUTH_SOCK={}", agent.display()))),
        );
    }
    for path in &service.writes {
        let _ = writeln!(text, "ReadWritePaths=-{}", quoted(path));
    }
    match service.scope {
        Scope::User => text.push_str(OF_A_USER),
        Scope::System => {
            // systemd gives the directory to the service's user, so each user's service needs its own.
            let _ = writeln!(text, "RuntimeDirectory={}", location::of_user(service.user_id));
            // `%h` is the home of the manager's user here, not that of `User=`.
            for path in WRITTEN_AT_HOME {
                let _ = writeln!(text, "ReadWritePaths=-{}", quoted(&service.home.join(path)));
            }
            let _ = writeln!(text, "{OF_THE_MACHINE}User={}", service.user.replace('%', "%%"));
        }
    }
    text.push_str("\n[Install]\n");
    text.push_str(match service.scope {
        Scope::User => "WantedBy=default.target\n",
        Scope::System => "WantedBy=multi-user.target\n",
    });
    text
}

pub(super) fn path(Service { name, scope, configurations, .. }: &Service) -> PathBuf {
    let folder = match scope {
        Scope::User => configurations.join("systemd/user"),
        Scope::System => "/etc/systemd/system".into(),
    };
    folder.join(format!("{name}.service"))
}

pub(super) fn next(Service { name, scope, .. }: &Service) -> String {
    match scope {
        Scope::User => format!(
            "  systemctl --user daemon-reload\n  systemctl --user enable --now {name}\n\
             To have it run while nobody is logged in:\n  loginctl enable-linger\n"
        ),
        Scope::System => {
            format!("  systemctl daemon-reload\n  systemctl enable --now {name}\n")
        }
    }
}

pub(super) fn version() -> Option<u32> {
    let mut systemctl = Command::new("systemctl");
    let output = systemctl.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    // `systemd 252 (252.38-1~deb12u1)`
    text.split_whitespace().nth(1)?.parse().ok()
}

/// Quotes a word for a unit, as in systemd.syntax(7), and escapes specifiers.
fn quoted(word: &Path) -> String {
    let mut text = String::from("\"");
    for c in word.to_string_lossy().chars() {
        match c {
            '%' => text.push_str("%%"),
            '$' => text.push_str("$$"),
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

/// Common settings: no restart after a mistake in the file (status 2), and 10 s for connections to end by themselves.
const COMMON: &str = "\
NotifyAccess=main
Restart=on-failure
RestartPreventExitStatus=2
TimeoutStopSec=20
WatchdogSec=60
KillMode=mixed
UMask=0077
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
# What it may write to: ~/.ssh (known_hosts), ~/.local/state, sockets and temporary files. A ProxyCommand
# or a hardware key may need more: see `systemctl edit`.
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=-/tmp -/var/tmp
ProtectProc=invisible
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
";
/// Settings of a user service: without `PrivateTmp`, since the agent's socket is often in /tmp. A
/// sandbox without root needs a user namespace.
const OF_A_USER: &str = "\
RuntimeDirectory=sockeye
PrivateUsers=yes
ProtectHome=read-only
ReadWritePaths=-%h/.ssh -%h/.local/state
";
/// Settings of a machine service, up to the user's name.
const OF_THE_MACHINE: &str = "\
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
CapabilityBoundingSet=
AmbientCapabilities=
# Its keys and its known_hosts are those of this user.
";
/// Directories for `known_hosts`, and for what was learnt about the links to servers.
const WRITTEN_AT_HOME: [&str; 2] = [".ssh", ".local/state"];
