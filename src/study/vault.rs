//! The store: every stage's result under the hash of all that it depends on; whole or not there, checked when read, shared by studies.
//!
//! An entry is found by what it is made from and by nothing else: not by study, point, host, time or number of threads. Its file appears by
//! rename when it is complete and on disk. What does not read back as it was written is set aside, named and made again.

use super::RunError;
use super::interrupt::Interrupt;
use super::slurm::{self, Submitted};
use super::vault_entry::{self, Address, Unreadable};
use super::vault_lock::{Holder, Lock};
use crate::image::{sync_folder, whole_file};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Marks the folder as ours and as a cache that backups may skip (bford.info/cachedir).
const TAG: &str = "CACHEDIR.TAG";
/// Folder of the store in which libraries of scenes are kept.
pub const LIBRARIES: &str = "library";
const TAG_TEXT: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# Stage results of mistilt studies: what is deleted here is computed again when it is needed.\n";
/// How often a process that waits for another one's result looks again.
const POLL: Duration = Duration::from_millis(200);

/// An open store.
#[derive(Debug)]
pub struct Vault {
    root: PathBuf,
    /// Who writes, for others who wait.
    holder: Holder,
    interrupt: Interrupt,
    notes: Mutex<Vec<String>>,
}

impl Vault {
    /// Opens the store at `root`, or begins one; a folder that holds anything else is refused.
    pub fn open(root: &Path, holder: Holder, interrupt: Interrupt) -> Result<Self, RunError> {
        let tag = root.join(TAG);
        if !Self::stands_at(root) {
            // A process that was killed while it began the store leaves temporary files, others may begin it right now. Libraries of
            // scenes are kept here too, and may be the first.
            let begun = |e: std::io::Result<fs::DirEntry>| {
                e.is_ok_and(|e| is_temporary(&e.path()) || e.file_name() == TAG || e.file_name() == LIBRARIES)
            };
            let empty = fs::read_dir(root).is_ok_and(|mut entries| entries.all(begun));
            // One that others began since we looked may hold entries already.
            if fs::symlink_metadata(root).is_ok() && !empty && !Self::stands_at(root) {
                return Err(RunError::NotAStore { path: root.to_owned() });
            }
            fs::create_dir_all(root).map_err(RunError::disk(root))?;
            whole_file(&tag, |file| file.write_all(TAG_TEXT.as_bytes())).map_err(RunError::disk(&tag))?;
        }
        Ok(Self { root: root.to_owned(), holder, interrupt, notes: Mutex::default() })
    }

    /// A store that is only asked where entries would stand.
    pub(super) fn closed(root: &Path, holder: Holder, interrupt: Interrupt) -> Self {
        Self { root: root.to_owned(), holder, interrupt, notes: Mutex::default() }
    }

    /// Remembers the jobs of a study.
    pub(super) fn keep_submission(&self, fingerprint: &str, submitted: &Submitted) -> Result<(), RunError> {
        let path = slurm::record(&self.root, fingerprint);
        let folder = path.parent().unwrap_or(&self.root);
        std::fs::create_dir_all(folder).map_err(RunError::disk(folder))?;
        whole_file(&path, |file| Ok(serde_json::to_writer(file, submitted)?)).map_err(RunError::disk(&path))
    }

    /// The jobs of a study, if it was submitted.
    pub(super) fn submission(&self, fingerprint: &str) -> Option<Submitted> {
        serde_json::from_slice(&fs::read(slurm::record(&self.root, fingerprint)).ok()?).ok()
    }

    /// Whether a store stands at `root`.
    #[must_use]
    pub fn stands_at(root: &Path) -> bool {
        fs::read_to_string(root.join(TAG)).is_ok_and(|text| text.starts_with("Signature: 8a477f597d28d172789f06886806bc55"))
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether the user asked to stop.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        self.interrupt.raised()
    }

    /// What befell the store since it was opened: entries that were set aside, each in a sentence.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The result of a stage: read if it is there, else made and kept. While another process makes the same one, this one waits for it.
    pub fn get_or_make<T: Serialize + DeserializeOwned>(
        &self,
        stage: &str,
        inputs: &impl Serialize,
        make: impl FnOnce() -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        let address = Address::new(stage, inputs)?;
        if let Some(known) = self.read(&address)? {
            return Ok(known);
        }
        let _lock = self.wait(&address)?;
        if let Some(known) = self.read(&address)? {
            return Ok(known);
        }
        let made = make()?;
        self.write(&address, &made)?;
        Ok(made)
    }

    /// Whether the entry is there; its content is checked when it is read.
    #[must_use]
    pub fn contains(&self, address: &Address) -> bool {
        self.path(address).is_file()
    }

    /// The entry, if it is there and sound.
    pub fn read<T: DeserializeOwned>(&self, address: &Address) -> Result<Option<T>, RunError> {
        let path = self.path(address);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(RunError::disk(path)(error)),
        };
        match vault_entry::decode(address, &bytes) {
            Ok(value) => Ok(Some(value)),
            Err(why) => self.set_aside(address, &path, &why).map(|()| None),
        }
    }

    /// Writes the entry: temporary file, flushed to disk, renamed, its folder flushed too.
    pub fn write(&self, address: &Address, value: &impl Serialize) -> Result<(), RunError> {
        let path = self.path(address);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(RunError::disk(folder))?;
        let bytes = vault_entry::encode(address, value)?;
        whole_file(&path, |file| file.write_all(&bytes)).and_then(|()| sync_folder(folder)).map_err(RunError::disk(&path))
    }

    /// Removes an entry that is needed no more; none is fine too.
    pub fn remove(&self, address: &Address) -> Result<(), RunError> {
        remove_file(&self.path(address))
    }

    /// Takes the work on an entry, unless another process has it.
    pub fn try_lock(&self, address: &Address) -> Result<Option<Lock>, RunError> {
        Lock::try_take(&self.lock_path(&format!("{}-{}", address.stage, address.key)), &self.holder.at_work_on(&address.stage))
    }

    /// Takes the work on an entry as soon as no other process has it.
    pub fn wait(&self, address: &Address) -> Result<Lock, RunError> {
        loop {
            if let Some(lock) = self.try_lock(address)? {
                return Ok(lock);
            }
            self.pause()?;
        }
    }

    /// A moment of waiting for other processes; an error once the user asked to stop.
    pub fn pause(&self) -> Result<(), RunError> {
        if self.interrupted() {
            return Err(RunError::Interrupted);
        }
        std::thread::sleep(POLL);
        Ok(())
    }

    /// Takes a results folder for this process, or says who has it.
    pub fn lock_results(&self, target: &Path) -> Result<Lock, RunError> {
        let name = blake3::hash(std::path::absolute(target).unwrap_or_else(|_| target.to_owned()).as_os_str().as_encoded_bytes());
        let path = self.lock_path(&format!("results-{}", name.to_hex()));
        Lock::try_take(&path, &self.holder.at_work_on("results"))?.ok_or_else(|| RunError::Busy {
            path: target.to_owned(),
            holder: Holder::read(&path).map_or_else(|| "another process".to_owned(), |h| h.sentence()),
        })
    }

    /// Who works in this store right now.
    #[must_use]
    pub fn at_work(&self) -> Vec<Holder> {
        let mut holders: Vec<Holder> =
            files(&self.root.join("locks")).iter().filter(|p| Lock::is_held(p)).filter_map(|p| Holder::read(p)).collect();
        holders.sort_by(|a, b| (&a.host, a.process, &a.stage, a.since).cmp(&(&b.host, b.process, &b.stage, b.since)));
        // One that sums several blocks at once is one at work.
        holders.dedup_by(|b, a| (&a.host, a.process, &a.stage) == (&b.host, b.process, &b.stage));
        holders
    }

    /// Keeps the reason why an entry could not be made.
    pub fn keep_failure(&self, address: &Address, error: &str) -> Result<(), RunError> {
        let path = self.failure_path(address);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(RunError::disk(folder))?;
        let text = serde_json::json!({ "stage": address.stage, "error": error, "by": self.holder.sentence() }).to_string();
        whole_file(&path, |file| file.write_all(text.as_bytes())).and_then(|()| sync_folder(folder)).map_err(RunError::disk(&path))
    }

    /// Why the entry could not be made, if an attempt failed; a sound entry that came later counts more.
    #[must_use]
    pub fn failure(&self, address: &Address) -> Option<String> {
        let text = fs::read_to_string(self.failure_path(address)).ok()?;
        let json: serde_json::Value = serde_json::from_str(&text).ok()?;
        Some(json.get("error")?.as_str()?.to_owned())
    }

    /// Forgets a failure, so that the entry is tried again.
    pub fn forgive(&self, address: &Address) -> Result<(), RunError> {
        remove_file(&self.failure_path(address))
    }

    /// All files of the store that hold entries or leftovers: path, bytes.
    pub(super) fn walk(&self) -> Vec<(PathBuf, u64)> {
        let mut out = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                match entry.metadata() {
                    Ok(meta) if meta.is_dir() => folders.push(entry.path()),
                    Ok(meta) if entry.file_name() != TAG => out.push((entry.path(), meta.len())),
                    _ => {}
                }
            }
        }
        out.sort();
        out
    }

    /// Where an entry stands.
    pub(super) fn path(&self, address: &Address) -> PathBuf {
        self.path_of(&address.stage, &address.key.to_string())
    }

    /// Where the entry of a stage with this key stands.
    pub(super) fn path_of(&self, stage: &str, key: &str) -> PathBuf {
        self.root.join(stage).join(key.get(..2).unwrap_or_default()).join(key)
    }

    pub(super) fn failure_path(&self, address: &Address) -> PathBuf {
        self.root.join("failed").join(format!("{}-{}.json", address.stage, address.key))
    }

    fn lock_path(&self, name: &str) -> PathBuf {
        self.root.join("locks").join(format!("{name}.lock"))
    }

    fn set_aside(&self, address: &Address, path: &Path, why: &Unreadable) -> Result<(), RunError> {
        let folder = self.root.join("damaged");
        fs::create_dir_all(&folder).map_err(RunError::disk(&folder))?;
        let name = |n: usize| folder.join(format!("{}-{}-{n}", address.stage, address.key));
        let aside = (0..100_000).map(name).find(|p| !p.exists()).unwrap_or_else(|| name(0));
        match fs::rename(path, &aside) {
            // Another process met the same damage first.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            renamed => renamed.map_err(RunError::disk(path))?,
        }
        let note = format!("{} is damaged ({why}); it was set aside as {} and is computed again.", path.display(), aside.display());
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
        Ok(())
    }
}

/// Files directly in a folder; none where there is no folder.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).filter(|p| p.is_file()).collect();
    out.sort();
    out
}

/// A file that was being written when its process ended.
pub(super) fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(".mistilt-") && name.ends_with(".tmp")
}

/// Removes a file that may be gone already.
pub(super) fn remove_file(path: &Path) -> Result<(), RunError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(RunError::disk(path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn vault(root: &Path) -> Vault {
        Vault::open(root, Holder::of_this_process(None), Interrupt::default()).unwrap()
    }

    #[test]
    fn a_result_is_made_once_and_read_back_to_the_bit() {
        let root = tempfile::tempdir().unwrap();
        let made = Cell::new(0);
        let get = || {
            let make = || {
                made.set(made.get() + 1);
                Ok(vec![0.1 + 0.2, f64::NAN, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE / 3.0])
            };
            vault(root.path()).get_or_make("sum", &("a", 1.5), make).unwrap()
        };
        let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(get()), bits(get()));
        assert_eq!(made.get(), 1);
        let other = vault(root.path()).get_or_make("sum", &("a", 1.6), || Ok(vec![0.0])).unwrap();
        assert_eq!(other, [0.0], "other inputs, another entry");
    }

    #[test]
    fn every_damage_to_an_entry_is_seen_named_and_mended() {
        let root = tempfile::tempdir().unwrap();
        let vault = vault(root.path());
        let address = Address::new("number", &7).unwrap();
        let get = || vault.get_or_make("number", &7, || Ok(vec![1_u64, 2, 3])).unwrap();
        get();
        let path = vault.path(&address);
        let sound = fs::read(&path).unwrap();
        let mut rounds = 0;
        // Every byte flipped, every length cut, bytes added, and nothing at all.
        let flipped =
            (0..sound.len()).map(|i| sound.iter().enumerate().map(|(j, b)| if i == j { b ^ 0x10 } else { *b }).collect::<Vec<u8>>());
        let cut = (0..sound.len()).map(|n| sound[..n].to_vec());
        for damaged in flipped.chain(cut).chain([[&sound[..], b"x"].concat()]) {
            fs::write(&path, damaged).unwrap();
            assert_eq!(get(), [1, 2, 3]);
            assert_eq!(fs::read(&path).unwrap(), sound, "the entry is written anew with the same bytes");
            rounds += 1;
        }
        assert_eq!(vault.notes().len(), rounds);
        assert_eq!(files(&root.path().join("damaged")).len(), rounds, "each is kept aside");
        assert!(vault.notes()[0].contains("set aside as"));
    }

    #[test]
    fn a_failed_make_leaves_no_entry() {
        let root = tempfile::tempdir().unwrap();
        let vault = vault(root.path());
        let failed: Result<u8, RunError> = vault.get_or_make("x", &0, || Err(RunError::Interrupted));
        assert!(failed.is_err() && vault.walk().is_empty());
    }

    #[test]
    fn many_at_once_make_it_once() {
        let root = tempfile::tempdir().unwrap();
        let made = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let value = vault(root.path()).get_or_make("slow", &(), || {
                        made.fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(50));
                        Ok(5)
                    });
                    assert_eq!(value.unwrap(), 5);
                });
            }
        });
        assert_eq!(made.load(Ordering::SeqCst), 1);
        assert!(files(&root.path().join("locks")).is_empty(), "no lock is left");
    }

    #[test]
    fn results_are_locked_against_a_second_run_which_says_who_has_them() {
        let root = tempfile::tempdir().unwrap();
        let (one, two) = (vault(root.path()), vault(root.path()));
        let held = one.lock_results(Path::new("results/tilt")).unwrap();
        let error = two.lock_results(Path::new("results/tilt")).unwrap_err().to_string();
        assert!(error.contains("results/tilt") && error.contains(&std::process::id().to_string()), "{error}");
        assert_eq!(two.at_work().len(), 1);
        two.lock_results(Path::new("results/other")).unwrap();
        drop(held);
        two.lock_results(Path::new("results/tilt")).unwrap();
        assert!(two.at_work().is_empty());
    }

    #[test]
    fn failures_are_kept_until_forgiven() {
        let root = tempfile::tempdir().unwrap();
        let vault = vault(root.path());
        let address = Address::new("image", &1).unwrap();
        vault.keep_failure(&address, "no waves").unwrap();
        assert_eq!(vault.failure(&address).as_deref(), Some("no waves"));
        vault.forgive(&address).unwrap();
        assert_eq!(vault.failure(&address), None);
    }

    #[test]
    fn a_folder_of_something_else_is_no_store() {
        let root = tempfile::tempdir().unwrap();
        // Begun by a process that was killed: ours.
        fs::write(root.path().join(".mistilt-a1.tmp"), "Sig").unwrap();
        drop(vault(root.path()));
        fs::remove_file(root.path().join(TAG)).unwrap();
        fs::write(root.path().join("groceries.txt"), "milk").unwrap();
        let opened = Vault::open(root.path(), Holder::of_this_process(None), Interrupt::default());
        assert!(matches!(opened, Err(RunError::NotAStore { .. })));
    }
}
