//! Where a command's words go: data to stdout, talk to stderr; a reader that hangs up is no error.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::io::{self, BufWriter, Stdout, Write};

/// The two streams, and what the user asked of them.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) json: bool,
    quiet: bool,
    stdout: BufWriter<Stdout>,
}

impl Output {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, stdout: BufWriter::new(io::stdout()) }
    }

    /// Writes data.
    pub(super) fn data(&mut self, text: &str) -> io::Result<()> {
        self.stdout.write_all(text.as_bytes())
    }

    /// Writes one JSON value and a line end.
    pub(super) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.stdout, value)?;
        self.stdout.write_all(b"\n")
    }

    /// Says one line, unless `--quiet`.
    pub(super) fn say(&self, text: &str) {
        if !self.quiet {
            // Talk that nobody can hear is no reason to stop.
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// A progress bar on stderr; hidden with `--quiet` and where stderr is no terminal.
    pub(super) fn bar(&self, steps: usize) -> ProgressBar {
        self.bar_of(steps, "{wide_bar} {pos}/{len} k-points and points, {eta} left")
    }

    /// The same with other words: a template of indicatif.
    pub(super) fn bar_of(&self, steps: usize, template: &str) -> ProgressBar {
        let target = if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(steps as u64), target);
        // The template is fixed text; should it ever be wrong, the plain bar does.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        bar.enable_steady_tick(std::time::Duration::from_millis(500));
        bar
    }

    /// The end: what is still buffered goes out.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}
