//! The property list of launchd (macOS).

use std::path::PathBuf;

use html_escape::encode_text;

use super::{MARK, Scope, Service};

/// The property list. launchd provides a user's agents with the ssh-agent's socket.
pub(super) fn plist(service: &Service) -> String {
    let string = |text: &str| format!("<string>{}</string>", encode_text(text));
    let words = [
        service.program.to_string_lossy().into_owned(),
        "--config".to_owned(),
        service.config.to_string_lossy().into_owned(),
    ];
    let words: String = words.iter().map(|word| ["\t\t", &string(word), "\n"].concat()).collect();
    let user = match service.scope {
        Scope::User => String::new(),
        Scope::System => format!("\t<key>UserName</key>\n\t{}\n", string(&service.user)),
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
         \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <!-- {MARK}; see `sockeye help service`. -->\n\
         <plist version=\"1.0\">\n<dict>\n\
         \t<key>Label</key>\n\t{label}\n\
         \t<key>ProgramArguments</key>\n\t<array>\n{words}\t</array>\n\
         {user}\
         \t<key>RunAtLoad</key>\n\t<true/>\n\
         \t<key>KeepAlive</key>\n\t<dict>\n\t\t<key>SuccessfulExit</key>\n\t\t<false/>\n\t</dict>\n\
         \t<key>ThrottleInterval</key>\n\t<integer>10</integer>\n\
         \t<key>ExitTimeOut</key>\n\t<integer>20</integer>\n\
         \t<key>Umask</key>\n\t<integer>63</integer>\n\
         \t<key>StandardErrorPath</key>\n\t{log}\n\
         </dict>\n</plist>\n",
        label = string(&label(service)),
        log = string(&log(service).to_string_lossy()),
    )
}

pub(super) fn path(service: &Service) -> PathBuf {
    let folder = match service.scope {
        Scope::User => service.home.join("Library/LaunchAgents"),
        Scope::System => "/Library/LaunchDaemons".into(),
    };
    folder.join(format!("{}.plist", label(service)))
}

pub(super) fn next(service: &Service) -> String {
    let domain = match service.scope {
        Scope::User => "gui/$(id -u)",
        Scope::System => "system",
    };
    let path = path(service).display().to_string().replace('\'', "'\\''");
    format!("  launchctl bootstrap {domain} '{path}'\n")
}

fn label(service: &Service) -> String {
    format!("sockeye.{}", service.name)
}

fn log(service: &Service) -> PathBuf {
    let folder = match service.scope {
        Scope::User => service.home.join("Library/Logs"),
        Scope::System => "/Library/Logs".into(),
    };
    folder.join(format!("{}.log", service.name))
}
