//! The results folder of a study: made under another name beside its place and renamed, so that a reader never meets half of it.

use super::RunError;
use crate::image::{sync_folder, whole_file};
use serde_json::Value as Json;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file that marks a folder as results of this program.
pub const PROVENANCE: &str = "provenance.json";

/// The provenance of a results folder; a folder without one is refused.
pub(super) fn read_provenance(folder: &Path) -> Result<Json, RunError> {
    let text = fs::read_to_string(folder.join(PROVENANCE)).map_err(|_| RunError::NoResults { path: folder.to_owned() })?;
    serde_json::from_str(&text).map_err(|_| RunError::NoResults { path: folder.to_owned() })
}

const UNFINISHED: &str = ".unfinished";
const REPLACED: &str = ".replaced";

/// Removes what killed runs left under names of this prefix. Random letters follow it, so that `tilt` does not take what is of `tilt-2`.
fn remove_unfinished(parent: &Path, prefix: &str) -> Result<(), RunError> {
    for entry in fs::read_dir(parent).map_err(RunError::disk(parent))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let random = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(UNFINISHED).or_else(|| rest.strip_suffix(REPLACED)));
        if random.is_some_and(|r| r.chars().all(|c| c.is_ascii_alphanumeric())) {
            fs::remove_dir_all(entry.path()).map_err(RunError::disk(entry.path()))?;
        }
    }
    Ok(())
}

/// A results folder being written.
#[derive(Debug)]
pub struct Draft {
    target: PathBuf,
    folder: tempfile::TempDir,
}

impl Draft {
    /// Refuses a place that holds anything but such results.
    pub fn check(target: &Path) -> Result<(), RunError> {
        let ours = |path: &Path| path.join(PROVENANCE).is_file() || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
        if fs::symlink_metadata(target).is_ok() && !ours(target) {
            return Err(RunError::NotOurs { path: target.to_owned() });
        }
        Ok(())
    }

    /// Begins results that will stand at `target`. A folder there is replaced at the end, if it holds such results; anything else is refused.
    /// What a killed run left unfinished for the same place is removed: the caller holds the lock of the place.
    pub fn begin(target: &Path) -> Result<Self, RunError> {
        Self::check(target)?;
        let parent = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(RunError::disk(parent))?;
        let prefix = format!(".mistilt-{}-", target.file_name().unwrap_or_default().display());
        remove_unfinished(parent, &prefix)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(UNFINISHED);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let folder = builder.tempdir_in(parent).map_err(RunError::disk(parent))?;
        Ok(Self { target: target.to_owned(), folder })
    }

    /// Where to write.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A sub-folder.
    pub fn subfolder(&self, name: &str) -> Result<PathBuf, RunError> {
        let path = self.path().join(name);
        fs::create_dir_all(&path).map_err(RunError::disk(&path))?;
        Ok(path)
    }

    /// Writes a JSON file.
    pub fn json(&self, name: &str, value: &Json) -> Result<(), RunError> {
        let path = self.path().join(name);
        whole_file(&path, |file| {
            serde_json::to_writer_pretty(&mut *file, value)?;
            file.write_all(b"\n")
        })
        .map_err(RunError::disk(&path))
    }

    /// Puts the finished folder in its place; an older one steps aside until the new one stands, then goes.
    pub fn publish(self) -> Result<PathBuf, RunError> {
        let aside = self.folder.path().with_extension(&REPLACED[1..]);
        let replaces = self.target.exists();
        if replaces {
            fs::rename(&self.target, &aside).map_err(RunError::disk(&self.target))?;
        }
        if let Err(error) = fs::rename(self.folder.path(), &self.target) {
            if replaces {
                // Back to where it was; if even that fails, the first error is the one to tell.
                let _ = fs::rename(&aside, &self.target);
            }
            return Err(RunError::Disk { path: self.target, source: error });
        }
        let parent = self.target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync_folder(parent).map_err(RunError::disk(parent))?;
        if replaces {
            fs::remove_dir_all(&aside).map_err(RunError::disk(&aside))?;
        }
        Ok(self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_replace_results_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("results/tilt");
        for round in 0..2 {
            let draft = Draft::begin(&target).unwrap();
            draft.json(PROVENANCE, &serde_json::json!({ "round": round })).unwrap();
            assert!(!target.join("new").exists());
            assert_eq!(draft.publish().unwrap(), target);
            assert!(fs::read_to_string(target.join(PROVENANCE)).unwrap().contains(&round.to_string()));
        }
        let entries: Vec<_> = fs::read_dir(root.path().join("results")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(entries, ["tilt"]);

        let foreign = root.path().join("thesis");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("chapter.tex"), "years of work").unwrap();
        assert!(matches!(Draft::begin(&foreign), Err(RunError::NotOurs { .. })));
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(matches!(Draft::begin(&file), Err(RunError::NotOurs { .. })));
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        for name in [".mistilt-tilt-a1B2c3.unfinished", ".mistilt-tilt-a1B2c3.replaced", ".mistilt-tilt-2-a1B2c3.unfinished", "tilt-2"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        drop(Draft::begin(&root.path().join("tilt")).unwrap());
        let mut left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".mistilt-tilt-2-a1B2c3.unfinished", "tilt-2"]);
    }

    #[test]
    fn a_draft_that_is_dropped_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("out");
        drop(Draft::begin(&target).unwrap());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
