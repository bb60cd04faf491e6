//! What is wrong with a study: a sentence, what is allowed, and the place in the file or in `--set` that caused it.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A text that settings came from: the study file, or one `--set` override.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Path of the file, or `--set`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A stretch of bytes in a [`Source`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The text.
    pub source: Arc<Source>,
    /// Byte range in the text.
    pub span: Range<usize>,
}

impl Place {
    /// Line and column of the first byte, both from 1; columns count characters.
    #[must_use]
    pub fn line_and_column(&self) -> (usize, usize) {
        let mut start = self.span.start.min(self.source.text.len());
        while !self.source.text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &self.source.text[..start];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// One thing that is wrong with a study.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// What is wrong, as a sentence.
    pub message: String,
    /// A few words to stand under the place.
    pub label: String,
    /// What is allowed, or what to do.
    pub help: String,
    /// Where it stands; `None` when the whole file is at fault.
    pub place: Option<Place>,
}

impl Problem {
    pub(super) fn at(place: &Place, message: impl Into<String>, label: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), label: label.into(), help: help.into(), place: Some(place.clone()) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            let (line, column) = place.line_and_column();
            write!(f, "{}:{line}:{column}: ", place.source.name)?;
        }
        write!(f, "{}", self.message)?;
        if self.help.is_empty() { Ok(()) } else { write!(f, " {}", self.help) }
    }
}

/// Why a study cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// The study file cannot be read.
    #[error("The study file {} cannot be read: {reason}. Give the path of a study file, such as studies/tilt.toml.", path.display())]
    Unreadable {
        /// The path that was given.
        path: PathBuf,
        /// What the operating system, or the limit on the file's size, said.
        reason: String,
    },
    /// The study file, or an override of it, says something that is not allowed; every problem found.
    #[error("{}", problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid {
        /// The problems, in the order they stand in the file; never empty.
        problems: Vec<Problem>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_file_line_and_column_in_characters() {
        let source = Arc::new(Source { name: "tilt.toml".into(), text: "a = 1\nµ = 2 # here\n".into() });
        let span = source.text.find("# here").unwrap()..source.text.len();
        let place = Place { source, span };
        assert_eq!(place.line_and_column(), (2, 7));
        let problem = Problem::at(&place, "Two is wrong.", "here", "Use one.");
        assert_eq!(problem.to_string(), "tilt.toml:2:7: Two is wrong. Use one.");
    }
}
