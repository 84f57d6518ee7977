//! The user's guide, one page per topic; `sockeye help TOPIC` shows them as well.
//!
//! A page is a file next to this one and a line of the table below. In a page, a `toml` block is a complete
//! configuration; a line of a `console` block that begins with `$ ` is a command, and so is inline code
//! that begins with `sockeye -`. A test tries them (`tests/it/guide.rs`).

/// A page.
#[derive(Debug)]
pub struct Topic {
    /// Its name in `sockeye help`.
    pub name: &'static str,
    /// Its subject, in a few words.
    pub about: &'static str,
    /// The page, in Markdown.
    pub text: &'static str,
}

/// Creates a module for each page, for the documentation, and the table of all pages.
macro_rules! pages {
    ($($module:ident: $file:literal, $about:literal;)+) => {
        $(
            // The pages are also read in a terminal.
            #[allow(clippy::doc_markdown, rustdoc::bare_urls)]
            #[doc = include_str!($file)]
            pub mod $module {}
        )+

        /// All pages, in the order in which they are listed.
        pub const TOPICS: &[Topic] = &[$(
            Topic { name: stem($file), about: $about, text: include_str!($file) },
        )+];
    };
}

/// The name of a page: that of its file, without `.md`.
const fn stem(file: &'static str) -> &'static str {
    file.split_at(file.len() - ".md".len()).0
}

pages! {
    from_ssh: "from-ssh.md", "coming from ssh: flags, jump hosts, host keys";
    from_autossh: "from-autossh.md", "coming from autossh: reconnecting, unattended starts";
    from_sing_box: "from-sing-box.md", "coming from sing-box: the same configuration in both";
    clients: "clients.md", "curl, git, browsers, package managers, databases";
    forwards: "forwards.md", "-L, -R and -W: who listens, who connects, who may use it";
    configuration: "configuration.md", "every key of the configuration file; rules; reload";
    ssh_config: "ssh-config.md", "every keyword of ssh_config and every flag of ssh, and what it does here";
    failures: "failures.md", "every message and code, and what to do about it";
    speed: "speed.md", "what was measured, how, and where the differences come from";
    limits: "limits.md", "what is promised, and what is not possible";
    desktop: "desktop.md", "browsers, shells and the proxy of the desktop";
    http: "http.md", "what the HTTP proxy passes on, changes and refuses";
    operating: "operating.md", "status, top, ping, forwards, metrics and dashboard of a running program";
    containers: "containers.md", "containers and CI: secrets, waiting, health checks";
    service: "service.md", "start at login or boot: systemd, socket units, launchd";
    security: "security.md", "who is trusted with what, what is promised, and which tests check it";
}
