//! Files appear whole or not at all: written under a temporary name in the same folder, flushed to disk, then renamed.

use super::ImageError;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes `path` by `fill`; on any failure the old file, if there was one, stays as it was.
pub(crate) fn whole_file(path: &Path, fill: impl FnOnce(&mut BufWriter<&std::fs::File>) -> std::io::Result<()>) -> std::io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".mistilt-").suffix(".tmp");
    // A temporary file is private by default; the result should be as readable as any file of this user.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(folder)?;
    let mut buffer = BufWriter::new(file.as_file());
    fill(&mut buffer)?;
    buffer.flush()?;
    drop(buffer);
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Flushes the names in a folder to disk, so that a file that was renamed into it is there after a power cut.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    // Elsewhere folders cannot be opened, and renames are the file system's business.
    if cfg!(unix) { std::fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

/// [`whole_file`] with the room's error.
pub(super) fn publish(path: &Path, fill: impl FnOnce(&mut BufWriter<&std::fs::File>) -> std::io::Result<()>) -> Result<(), ImageError> {
    whole_file(path, fill).map_err(|source| ImageError::Write { path: path.to_path_buf(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        publish(&path, |f| f.write_all(b"old")).unwrap();
        let failed = publish(&path, |f| f.write_all(b"new").and(Err(std::io::Error::other("disk full"))));
        assert!(failed.unwrap_err().to_string().contains("disk full"));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = publish(Path::new("/no/such/folder/a.npy"), |_| Ok(())).unwrap_err();
        assert!(error.to_string().starts_with("cannot write `/no/such/folder/a.npy`"), "{error}");
    }
}
