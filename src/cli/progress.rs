//! Progress of long commands on standard error: done, rate, time left. Shown on a terminal alone.

use std::borrow::Cow;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two drawings of a bar whose work does not report.
const TICK: Duration = Duration::from_millis(200);

/// A bar that is removed at the end.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Shows bytes.
    pub(super) fn of_bytes(what: &'static str) -> Progress {
        Progress::new(what, "{msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left")
    }

    /// Shows rows.
    pub(super) fn of_rows(what: &'static str) -> Progress {
        Progress::new(what, "{msg} {bar:30} {human_pos} of {human_len}, {per_sec}, {eta} left")
    }

    fn new(what: &'static str, template: &str) -> Progress {
        let style = ProgressStyle::with_template(template).expect("the templates above are valid");
        // Nothing is drawn before the first report.
        Progress { bar: ProgressBar::new(0).with_style(style).with_message(Cow::Borrowed(what)) }
    }

    /// Whether somebody sees it.
    pub(super) fn is_shown(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Draws the bar from now on, also while nothing is reported.
    pub(super) fn tick(self) -> Progress {
        self.bar.enable_steady_tick(TICK);
        self
    }

    pub(super) fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }

    pub(super) fn set(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    pub(super) fn add(&self, done: u64) {
        self.bar.inc(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
