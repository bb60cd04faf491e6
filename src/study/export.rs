//! A results folder as one file: its table as CSV, NPZ or JSON, or all of it as a zip archive that is the same for the same folder.

use super::RunError;
use super::store::read_provenance;
use crate::image::whole_file;
use serde_json::{Map, Value as Json};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;

/// The endings that [`export`] knows.
pub const ENDINGS: &str = ".csv, .npz, .json or .zip";

/// Writes the results in `folder` to `file`, in the format of its ending.
pub fn export(folder: &Path, file: &Path) -> Result<(), RunError> {
    read_provenance(folder)?;
    let ending = file.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "csv" | "npz" => {
            let source = folder.join(format!("records.{ending}"));
            let bytes = fs::read(&source).map_err(RunError::disk(&source))?;
            whole_file(file, |out| out.write_all(&bytes)).map_err(RunError::disk(file))
        }
        "json" => {
            let rows = rows(&folder.join("records.csv"))?;
            whole_file(file, |out| {
                serde_json::to_writer_pretty(&mut *out, &rows)?;
                out.write_all(b"\n")
            })
            .map_err(RunError::disk(file))
        }
        "zip" => {
            let files = files(folder)?;
            whole_file(file, |out| archive(folder, &files, out)).map_err(RunError::disk(file))
        }
        _ => Err(RunError::NoSuchFormat { path: file.to_owned(), known: ENDINGS }),
    }
}

/// The rows of the table; numbers as numbers, empty cells as null.
fn rows(path: &Path) -> Result<Vec<Json>, RunError> {
    let unreadable = |error: csv::Error| RunError::disk(path)(io::Error::other(error));
    let mut reader = csv::Reader::from_path(path).map_err(unreadable)?;
    let header: Vec<String> = reader.headers().map_err(unreadable)?.iter().map(str::to_owned).collect();
    let cell = |text: &str| match text.parse::<Json>() {
        Ok(number @ Json::Number(_)) => number,
        _ if text.is_empty() => Json::Null,
        _ => Json::String(text.to_owned()),
    };
    let row = |row: csv::StringRecord| Json::Object(header.iter().cloned().zip(row.iter().map(cell)).collect::<Map<_, _>>());
    reader.records().map(|r| r.map(row).map_err(unreadable)).collect()
}

/// All files below the folder, sorted.
fn files(folder: &Path) -> Result<Vec<PathBuf>, RunError> {
    let mut out = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(RunError::disk(&folder))? {
            let entry = entry.map_err(RunError::disk(&folder))?;
            let kind = entry.file_type().map_err(RunError::disk(entry.path()))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                out.push(entry.path());
            }
        }
    }
    out.sort();
    Ok(out)
}

/// The archive: one folder with the name of the results, no times of day, names in order.
fn archive(folder: &Path, files: &[PathBuf], out: &mut io::BufWriter<&File>) -> io::Result<()> {
    let mut zip = zip::ZipWriter::new(out);
    let top = folder.file_name().map_or_else(|| "results".to_owned(), |name| name.to_string_lossy().into_owned());
    for path in files {
        let inside = path.strip_prefix(folder).unwrap_or(path).components().map(|c| c.as_os_str().to_string_lossy());
        let name = std::iter::once(top.as_str().into()).chain(inside).collect::<Vec<_>>().join("/");
        let mut source = File::open(path)?;
        let large = source.metadata()?.len() >= u64::from(u32::MAX);
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated)
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(0o644)
            .large_file(large);
        zip.start_file(name, options)?;
        io::copy(&mut source, &mut zip)?;
    }
    zip.finish()?.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn results() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("tilt");
        fs::create_dir_all(folder.join("images")).unwrap();
        fs::write(folder.join("provenance.json"), "{}").unwrap();
        fs::write(folder.join("records.csv"), "point,detector,x_pm,refusal\n0,adf,1.5,\n1,adf,,flat\n").unwrap();
        fs::write(folder.join("images/a.npy"), [7_u8; 5000]).unwrap();
        root
    }

    #[test]
    fn the_archive_holds_everything_and_is_the_same_again() {
        let root = results();
        let (folder, one, two) = (root.path().join("tilt"), root.path().join("one.zip"), root.path().join("two.zip"));
        export(&folder, &one).unwrap();
        export(&folder, &two).unwrap();
        assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
        let mut zip = zip::ZipArchive::new(File::open(&one).unwrap()).unwrap();
        let names: Vec<String> = zip.file_names().map(str::to_owned).collect();
        assert_eq!(names, ["tilt/images/a.npy", "tilt/provenance.json", "tilt/records.csv"]);
        let mut bytes = Vec::new();
        zip.by_name("tilt/images/a.npy").unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, [7_u8; 5000]);
    }

    #[test]
    fn rows_as_json_keep_numbers_and_gaps() {
        let root = results();
        let file = root.path().join("rows.json");
        export(&root.path().join("tilt"), &file).unwrap();
        let rows: Json = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        assert_eq!(rows[0], serde_json::json!({ "point": 0, "detector": "adf", "x_pm": 1.5, "refusal": null }));
        assert_eq!((&rows[1]["x_pm"], &rows[1]["refusal"]), (&Json::Null, &"flat".into()));
    }

    #[test]
    fn what_is_no_results_folder_or_no_known_ending_is_refused() {
        let root = results();
        let refused = export(root.path(), Path::new("x.zip")).unwrap_err().to_string();
        assert!(refused.contains("no folder of mistilt results"), "{refused}");
        let refused = export(&root.path().join("tilt"), Path::new("x.xlsx")).unwrap_err().to_string();
        assert!(refused.contains(".csv, .npz, .json or .zip"), "{refused}");
    }
}
