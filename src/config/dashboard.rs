//! `[dashboard]`: the page for a browser.

use std::path::PathBuf;

use crate::forward::DashboardAddress;
use crate::secret::Secret;

use super::fields::Fields;
use super::source::Source;

/// A dashboard that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DashboardConfig {
    /// Where.
    pub address: DashboardAddress,
    /// A folder with another one, to be found at `/ui/`.
    pub files: Option<PathBuf>,
    /// What scripts send; without it another one at each start.
    pub token: Option<Secret>,
}

/// Reads `address`, `files` and `token`; `None` after reporting a mistake.
pub(super) fn read(source: &Source<'_>, mut section: Fields<'_>) -> Option<DashboardConfig> {
    let errors = source.report().errors();
    let address = section.text("address").and_then(|text| source.parse("address", &text, ""));
    let files = section.text("files").map(|text| source.resolve(text.get_ref()));
    let token = section.text("token").and_then(|text| {
        let wrong = |why| {
            source.error(&text.span(), format!("token '{}': {why}", text.get_ref()), "");
        };
        let path = source.resolve(text.get_ref());
        source.report().note_file(&path);
        Secret::read(&path).map_err(wrong).ok()
    });
    section.finish();
    let address = address.unwrap_or_default();
    (source.report().errors() == errors).then_some(DashboardConfig { address, files, token })
}
