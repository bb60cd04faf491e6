//! Why a command failed, its exit code, and how a problem of a study is shown: file, line, the bad key underlined.

use crate::artifact::ArtifactError;
use crate::study::{Problem, RunError, StudyError};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity, ThemeCharacters, ThemeStyles};
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Something in a study file, or the file itself: exit code 2.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// The crystal, the physics or the disk: exit code 2 where the input is at fault, else 1.
    #[error(transparent)]
    Run(#[from] RunError),
    /// No sensitivity or verdict: exit code 2.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Something else the user gave: exit code 2.
    #[error("{0}")]
    BadInput(String),
    /// Some points failed or are missing, the rest is there: exit code 3.
    #[error("{0}")]
    Incomplete(String),
    /// The user stopped it: exit code 130.
    #[error("stopped; what was finished is kept, and this goes on with the rest:\n  {again}")]
    Stopped {
        /// The command that goes on.
        again: String,
    },
    /// Writing failed: exit code 1, or 0 where the reader of a pipe hung up.
    #[error("The output could not be written: {0}.")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Shows the failure on stderr and returns the exit code.
    pub(super) fn report(self) -> ExitCode {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Output(_) => {
                show(&format!("error: {self}\n"));
                ExitCode::from(1)
            }
            Self::Study(StudyError::Invalid { problems }) => {
                let (colour, count) = (colour(), problems.len());
                for problem in &problems {
                    show(&render(problem, colour));
                }
                if count > 1 {
                    show(&format!("{count} problems.\n"));
                }
                ExitCode::from(2)
            }
            Self::Stopped { .. } => {
                show(&format!("{self}\n"));
                ExitCode::from(130)
            }
            Self::Incomplete(_) | Self::Run(RunError::Incomplete { .. } | RunError::Untrained { .. }) => {
                show(&format!("incomplete: {self}\n"));
                ExitCode::from(3)
            }
            Self::Run(ref error) if !error.is_input() => {
                show(&format!("error: {self}\n"));
                ExitCode::from(1)
            }
            Self::Study(_) | Self::Run(_) | Self::Artifact(_) | Self::BadInput(_) => {
                show(&format!("error: {self}\n"));
                ExitCode::from(2)
            }
        }
    }
}

/// Shows what clap has to say: help and version are data, the rest is bad input.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    // A closed stdout or stderr cannot be told to anyone.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

fn show(text: &str) {
    // A closed stderr cannot be told to anyone.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Colours on a terminal, unless `NO_COLOR` is set to something (no-color.org).
fn colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A problem with its place underlined.
fn render(problem: &Problem, colour: bool) -> String {
    let styles = if colour { ThemeStyles::ansi() } else { ThemeStyles::none() };
    let theme = GraphicalTheme { characters: ThemeCharacters::unicode(), styles };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(100).with_context_lines(1).with_links(false);
    let mut out = String::new();
    match handler.render_report(&mut out, &Shown::new(problem)) {
        Ok(()) => out,
        Err(fmt::Error) => format!("error: {problem}\n"),
    }
}

/// A problem as miette wants it.
#[derive(Debug)]
struct Shown<'a> {
    problem: &'a Problem,
    source: Option<NamedSource<String>>,
}

impl<'a> Shown<'a> {
    fn new(problem: &'a Problem) -> Self {
        let source = problem.place.as_ref().map(|place| NamedSource::new(&place.source.name, place.source.text.clone()));
        Self { problem, source }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(Severity::Error)
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        (!self.problem.help.is_empty()).then(|| Box::new(&self.problem.help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source.as_ref().map(|source| source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.problem.place.as_ref()?;
        let label = LabeledSpan::new_with_span(Some(self.problem.label.clone()), place.span.clone());
        Some(Box::new(std::iter::once(label)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{Place, Source};
    use std::sync::Arc;

    #[test]
    fn a_problem_shows_its_file_line_column_and_underline() {
        let source = Arc::new(Source { name: "tilt.toml".into(), text: "name = \"x\"\nvoltage = 3\n".into() });
        let place = Some(Place { source, span: 11..18 });
        let problem = Problem { message: "No such key.".into(), label: "unknown".into(), help: "Write voltage_kv.".into(), place };
        let text = render(&problem, false);
        for part in ["No such key.", "tilt.toml:2:1", "voltage = 3", "unknown", "Write voltage_kv."] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "no colours asked, none given");
    }
}
