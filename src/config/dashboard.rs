//! `[dashboard]`: the web page.

use std::path::PathBuf;

use crate::forward::DashboardAddress;
use crate::secret::Secret;

use super::fields::Fields;
use super::source::Source;

/// The settings of the dashboard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DashboardConfig {
    /// The address to listen on.
    pub address: DashboardAddress,
    /// A folder with another dashboard, served at `/ui/`.
    pub files: Option<PathBuf>,
    /// The token for scripts; a random one at each start if unset.
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
        Secret::read(&source.follow(text.get_ref())).map_err(wrong).ok()
    });
    section.finish();
    let address = address.unwrap_or_default();
    (source.report().errors() == errors).then_some(DashboardConfig { address, files, token })
}
