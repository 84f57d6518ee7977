//! The proxy settings of desktops, which the desktops' own programs read and write.

use std::io;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use strum::{Display, VariantArray};

use crate::destination::Destination;
use crate::file;

/// A desktop with proxy settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, VariantArray)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "UPPERCASE")]
pub(super) enum Desktop {
    /// GNOME, and the programs that read its settings: Firefox, Chromium, GTK programs.
    Gnome,
    /// KDE Plasma.
    Kde,
}

/// A setting and its value, as the desktop's program writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Setting {
    group: String,
    key: String,
    value: String,
}

impl Desktop {
    /// Whether the desktop is installed and has proxy settings.
    pub(super) fn is_there(self) -> bool {
        match self {
            Self::Gnome => self.get(GNOME, "mode").is_ok(),
            Self::Kde => kde("kreadconfig").is_some() && kde("kwriteconfig").is_some(),
        }
    }

    /// The settings that send everything to the proxy.
    pub(super) fn wanted(self, proxy: &Destination) -> Vec<Setting> {
        let host = proxy.host().to_string();
        let host = host.trim_matches(['[', ']']);
        let port = proxy.port();
        let setting = |group: &str, key: &str, value: String| Setting {
            group: group.to_owned(),
            key: key.to_owned(),
            value,
        };
        match self {
            Self::Gnome => {
                let each = ["http", "https", "socks"].into_iter().flat_map(|scheme| {
                    let group = format!("{GNOME}.{scheme}");
                    let host = setting(&group, "host", format!("'{host}'"));
                    [host, setting(&group, "port", port.to_string())]
                });
                // The mode comes last: the other settings have no effect until it is set.
                each.chain([setting(GNOME, "mode", "'manual'".to_owned())]).collect()
            }
            Self::Kde => {
                let each = [("httpProxy", "http"), ("httpsProxy", "http"), ("socksProxy", "socks")]
                    .into_iter()
                    .map(|(key, scheme)| setting(KDE, key, format!("{scheme}://{host} {port}")));
                each.chain([setting(KDE, "ProxyType", "1".to_owned())]).collect()
            }
        }
    }

    /// The current values of these settings.
    pub(super) fn now(self, settings: &[Setting]) -> io::Result<Vec<Setting>> {
        let read = |setting: &Setting| {
            let value = self.get(&setting.group, &setting.key)?;
            Ok(Setting { value, ..setting.clone() })
        };
        settings.iter().map(read).collect()
    }

    /// Applies the settings in order.
    pub(super) fn apply(self, settings: &[Setting]) -> io::Result<()> {
        for Setting { group, key, value } in settings {
            match self {
                Self::Gnome => run("gsettings", &["set", group, key, value])?,
                // An empty value means unset.
                Self::Kde if value.is_empty() => kde_write(&[group, "--key", key, "--delete"])?,
                Self::Kde => kde_write(&[group, "--key", key, value])?,
            };
        }
        if self == Self::Kde {
            // Running programs are notified over D-Bus, if there is one.
            let _ = run(
                "dbus-send",
                &[
                    "--type=signal",
                    "/KIO/Scheduler",
                    "org.kde.KIO.Scheduler.reparseSlaveConfiguration",
                    "string:",
                ],
            );
        }
        Ok(())
    }

    fn get(self, group: &str, key: &str) -> io::Result<String> {
        match self {
            Self::Gnome => run("gsettings", &["get", group, key]),
            Self::Kde => {
                let program = kde("kreadconfig").ok_or(io::ErrorKind::NotFound)?;
                run(&program, &["--file", "kioslaverc", "--group", group, "--key", key])
            }
        }
    }
}

fn kde_write(words: &[&str]) -> io::Result<String> {
    let program = kde("kwriteconfig").ok_or(io::ErrorKind::NotFound)?;
    run(&program, &[&["--file", "kioslaverc", "--group"], words].concat())
}

/// The newest installed version of this program.
fn kde(name: &str) -> Option<String> {
    let versions = ["6", "5"].map(|version| format!("{name}{version}"));
    versions.into_iter().find(|program| file::on_path(program))
}

/// The output of a program, without the final newline.
fn run(program: &str, words: &[&str]) -> io::Result<String> {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or_default();
    Err(io::Error::other(format!("{program}: {said}")))
}

const GNOME: &str = "org.gnome.system.proxy";
const KDE: &str = "Proxy Settings";
