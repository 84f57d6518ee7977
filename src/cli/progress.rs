//! A progress bar for the loading of lists, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::printable::{Lines, printable};
use crate::route::Progress;

/// The bar of the list that is being read. Nothing is drawn if standard error is not a terminal or the list
/// is short. Dropping it removes it from the screen.
#[derive(Debug, Default)]
pub(super) struct Bar {
    bar: Option<ProgressBar>,
}

impl Bar {
    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Bar {
    fn start(&mut self, list: &str, bytes: Option<u64>) {
        self.clear();
        if bytes.is_some_and(|bytes| bytes < MIN_SIZE) {
            return;
        }
        let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr());
        let style = match bytes {
            Some(_) => "{msg} [{bar:40}] {bytes}/{total_bytes}",
            None => "{msg} {spinner} {bytes}",
        };
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_message(printable(list, MAX_NAME, Lines::One));
        bar.enable_steady_tick(TICK);
        self.bar = Some(bar);
    }

    fn advance(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The size in bytes from which a list has a bar.
const MIN_SIZE: u64 = 1 << 20;
/// The most characters of a list's name that are shown.
const MAX_NAME: usize = 40;
const TICK: Duration = Duration::from_millis(100);
