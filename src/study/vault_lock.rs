//! Locks between processes that share a store: advisory, gone with the process that held them, never needed for correct results.
//!
//! A lock spares two processes the same work. Where a file system has no locks, or two processes slip past each other, both compute the same
//! bytes and one rename wins.

use super::RunError;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Machine.
    pub host: String,
    /// Process on it.
    pub process: u32,
    /// Job of a batch system, if it runs in one.
    pub job: Option<String>,
    /// Stage at work.
    pub stage: String,
    /// When it began, seconds since 1970 by that machine's clock; for people only.
    pub since: u64,
}

impl Holder {
    /// This process; `job` is its name in a batch system.
    #[must_use]
    pub fn of_this_process(job: Option<String>) -> Self {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        let host = if host.is_empty() { "this machine".to_owned() } else { host };
        Self { host, process: std::process::id(), job, stage: String::new(), since: 0 }
    }

    pub(super) fn at_work_on(&self, stage: &str) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        Self { stage: stage.to_owned(), since, ..self.clone() }
    }

    pub(super) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// "process 4711 on node3 (job 12_4)".
    #[must_use]
    pub fn sentence(&self) -> String {
        let job = self.job.as_ref().map_or(String::new(), |job| format!(" (job {job})"));
        format!("process {} on {}{job}", self.process, self.host)
    }
}

/// A lock that this process holds until it is dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// Dropped after the file is removed: closing it lets the next one in.
    _file: File,
}

impl Lock {
    /// Takes the lock; `None` while another process holds it.
    pub(super) fn try_take(path: &Path, holder: &Holder) -> Result<Option<Self>, RunError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(RunError::disk(folder))?;
        loop {
            let mut file =
                OpenOptions::new().create(true).read(true).write(true).truncate(false).open(path).map_err(RunError::disk(path))?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(None),
                // A file system without locks: go on without, as said above.
                Ok(()) | Err(TryLockError::Error(_)) => {}
            }
            // The last holder may have removed the file between our opening and our locking it: then this lock guards nothing.
            if !same_file(&file, path) {
                continue;
            }
            let text = serde_json::to_vec(holder).unwrap_or_default();
            // Who holds it is for people; the lock holds without it.
            let _ = file.set_len(0).and_then(|()| file.write_all(&text));
            return Ok(Some(Self { path: path.to_owned(), _file: file }));
        }
    }

    /// Whether a living process holds the lock.
    pub(super) fn is_held(path: &Path) -> bool {
        File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A file that stays is no harm: it is not locked.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(unix)]
fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |meta: fs::Metadata| (meta.dev(), meta.ino());
    matches!((file.metadata().map(id), fs::metadata(path).map(id)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(not(unix))]
fn same_file(_: &File, path: &Path) -> bool {
    path.exists()
}
