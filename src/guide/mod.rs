//! The guide: a page a topic, shown by `sockeye help TOPIC` as well.
//!
//! A page is a file beside this one and a line of the table below. Every command and configuration in
//! it is tried by a test (`tests/it/guide.rs`).

/// A page.
#[derive(Debug)]
pub struct Topic {
    /// What `sockeye help` calls it.
    pub name: &'static str,
    /// What it is about, in a few words.
    pub about: &'static str,
    /// The page, in Markdown.
    pub text: &'static str,
}

/// Makes a module for each page, for the documentation, and the table of all.
macro_rules! pages {
    ($($module:ident: $file:literal, $about:literal;)+) => {
        $(
            #[doc = include_str!($file)]
            pub mod $module {}
        )+

        /// All pages, in the order in which they are listed.
        pub const TOPICS: &[Topic] = &[$(
            Topic { name: stringify!($module), about: $about, text: include_str!($file) },
        )+];
    };
}

pages! {
    desktop: "desktop.md", "browsers, shells and the proxy of the desktop";
    service: "service.md", "start at login or boot: systemd, launchd, sockets by name";
}
