//! Takes from the store what is needed no more: leftovers of kills, a study's own entries, or those of all others.

use super::RunError;
use super::plan::Plan;
use super::run::Session;
use super::spec::Study;
use super::vault::{Vault, is_temporary, remove_file};
use super::work::Work;
use super::{learning, stages};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What to take beside the leftovers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// Nothing: temporary files, damaged entries, old locks, and parts of images that are complete.
    #[default]
    Leftovers,
    /// Everything of this study.
    Own,
    /// Everything that this study does not need.
    Others,
}

/// What was taken, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cleaned {
    /// The files.
    pub files: Vec<PathBuf>,
    /// Their bytes.
    pub bytes: u64,
}

/// Removes what `scope` says, or, `dry`, says what it would remove. Refuses while processes are at work in the store.
pub fn clean(study: &Study, session: &Session, scope: Scope, dry: bool) -> Result<Cleaned, RunError> {
    if !Vault::stands_at(&session.store) {
        return Ok(Cleaned::default());
    }
    let vault = session.vault()?;
    if let Some(holder) = vault.at_work().first() {
        return Err(RunError::Busy { path: session.store.clone(), holder: holder.sentence() });
    }
    let Files { own, complete, failures } = Files::of(study, &vault)?;
    let mut cleaned = Cleaned::default();
    for (path, bytes) in vault.walk() {
        let inside = path.strip_prefix(vault.root()).unwrap_or(&path);
        let entry = stages::ALL.iter().chain(&learning::STAGES).any(|stage| inside.starts_with(stage));
        let leftover = is_temporary(&path) || inside.starts_with("damaged") || inside.starts_with("locks") || complete.contains(&path);
        let goes = match scope {
            Scope::Leftovers => false,
            Scope::Own => own.contains(&path) || failures.contains(&path),
            Scope::Others => (entry && !own.contains(&path)) || (inside.starts_with("failed") && !failures.contains(&path)),
        };
        if leftover || goes {
            if !dry {
                remove_file(&path)?;
            }
            cleaned.files.push(path);
            cleaned.bytes += bytes;
        }
    }
    Ok(cleaned)
}

/// What a study has in a store.
#[derive(Debug, Default)]
struct Files {
    own: BTreeSet<PathBuf>,
    /// Parts of images that are complete.
    complete: BTreeSet<PathBuf>,
    failures: BTreeSet<PathBuf>,
}

impl Files {
    fn of(study: &Study, vault: &Vault) -> Result<Self, RunError> {
        if study.learning.is_some() {
            return Ok(Self { own: learning::files(study, vault)?, ..Self::default() });
        }
        let plan = Plan::new(study.points())?;
        let work = Work::new(study, &plan, vault, &|_| ())?;
        let addresses = work.all_addresses()?;
        Ok(Self {
            own: addresses.iter().map(|a| vault.path(a)).collect(),
            complete: work.parts_of_complete_images()?.iter().map(|a| vault.path(a)).collect(),
            failures: addresses.iter().map(|a| vault.failure_path(a)).collect(),
        })
    }
}
