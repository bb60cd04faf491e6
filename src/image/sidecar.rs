//! The sidecar `IMAGE.json`: pixel size (pm), metadata and ground truth beside any image file; every writer makes one.

use super::error::FileFault;
use super::publish::publish;
use super::{Image, ImageError, Metadata, Truth};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A sidecar larger than this is none of ours: 2^16 columns need about 16 MB.
const MAX_BYTES: u64 = 1 << 28;

/// The content of a sidecar. All entries are optional, so a hand-written `{"pixel_size_pm": 15.1}` will do.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sidecar {
    /// Sides of the image it belongs to: a sidecar of another image is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pixel_size_pm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pixel_height_pm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truth: Option<Truth>,
}

/// Where the sidecar of an image lies: `.json` added to the whole name (`scan.npy.json`).
#[must_use]
pub fn sidecar_path(image: &Path) -> PathBuf {
    let mut name = image.as_os_str().to_owned();
    name.push(".json");
    PathBuf::from(name)
}

/// Writes the sidecar of `image`, which is stored at `path`.
pub(super) fn write(image: &Image, path: &Path) -> Result<(), ImageError> {
    if let Some(truth) = &image.truth {
        truth.validate()?;
    }
    let sidecar = Sidecar {
        width: Some(image.width),
        height: Some(image.height),
        pixel_size_pm: image.pixel_size_pm,
        pixel_height_pm: image.pixel_height_pm,
        metadata: Some(image.metadata.clone()),
        truth: image.truth.clone(),
    };
    publish(&sidecar_path(path), |file| {
        serde_json::to_writer_pretty(&mut *file, &sidecar)?;
        file.write_all(b"\n")
    })
}

/// Adds what the sidecar of `path` says to `image`, if there is one; what it says counts more than what the image file says.
pub(super) fn apply(image: &mut Image, path: &Path) -> Result<(), ImageError> {
    let path = sidecar_path(path);
    let length = match std::fs::metadata(&path) {
        Ok(found) => found.len(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(ImageError::Read { path, source }),
    };
    if length > MAX_BYTES {
        return Err(FileFault::unsupported(format!("a sidecar of {length} bytes is too long; at most 2^28 are read")).at(&path));
    }
    let text = std::fs::read(&path).map_err(|source| ImageError::Read { path: path.clone(), source })?;
    merge(image, &text).map_err(|fault| fault.at(&path))
}

/// Adds the sidecar `text` to `image`.
pub(super) fn merge(image: &mut Image, text: &[u8]) -> Result<(), FileFault> {
    let sidecar: Sidecar = serde_json::from_slice(text).map_err(|e| FileFault::unsupported(format!("is no sidecar of an image: {e}")))?;
    let [width, height] = [sidecar.width.unwrap_or(image.width), sidecar.height.unwrap_or(image.height)];
    if (width, height) != (image.width, image.height) {
        return Err(FileFault::unsupported(format!(
            "describes an image of {width} x {height} pixels, but the image beside it has {} x {}; remove it if it belongs to another",
            image.width, image.height
        )));
    }
    if let Some(reason) = sidecar.truth.as_ref().and_then(Truth::fault) {
        return Err(FileFault::unsupported(format!("holds a ground truth that is wrong: {reason}")));
    }
    if let Some(x) = sidecar.pixel_size_pm {
        image.set_pixel_sizes_pm(x, sidecar.pixel_height_pm.unwrap_or(x)).map_err(|e| FileFault::unsupported(e.to_string()))?;
    }
    if let Some(metadata) = sidecar.metadata {
        image.metadata = metadata.or(std::mem::take(&mut image.metadata));
    }
    image.truth = sidecar.truth.or(image.truth.take());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_written_pixel_size_will_do_and_a_typo_is_named() {
        let mut image = Image::new(2, 1, vec![0.0; 2]).unwrap();
        merge(&mut image, br#"{"pixel_size_pm": 15.1}"#).unwrap();
        assert_eq!(image.pixel_size_pm, Some(15.1));
        let fault = merge(&mut image, br#"{"pixel_size_nm": 15.1}"#).unwrap_err().to_string();
        assert!(fault.contains("pixel_size_nm") && fault.contains("pixel_size_pm"), "{fault}");
        assert!(merge(&mut image, br#"{"pixel_size_pm": -1}"#).unwrap_err().to_string().contains("-1 pm"));
    }

    #[test]
    fn entries_of_the_sidecar_win_and_the_others_stay() {
        let mut image = Image::new(1, 1, vec![0.0]).unwrap();
        image.metadata.beam_energy_kev = Some(300.0);
        image.metadata.detector_inner_mrad = Some(70.0);
        image.metadata.notes = vec!["of the file".into()];
        merge(&mut image, br#"{"metadata": {"beam_energy_kev": 200, "notes": ["by hand"]}}"#).unwrap();
        let m = &image.metadata;
        assert_eq!((m.beam_energy_kev, m.detector_inner_mrad), (Some(200.0), Some(70.0)));
        assert_eq!(m.notes, ["by hand", "of the file"]);
    }

    #[test]
    fn the_sidecar_of_another_image_is_refused() {
        let mut image = Image::new(2, 1, vec![0.0; 2]).unwrap();
        let fault = merge(&mut image, br#"{"width": 3, "height": 1}"#).unwrap_err().to_string();
        assert!(fault.contains("3 x 1") && fault.contains("2 x 1"), "{fault}");
    }

    #[test]
    fn everything_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let mut image = Image::new(2, 1, vec![0.0; 2]).unwrap();
        image.set_pixel_sizes_pm(15.1, 1.0 / 3.0).unwrap();
        image.metadata.beam_energy_kev = Some(300.0);
        image.metadata.notes = vec!["a note".into()];
        image.truth = Some(crate::image::truth::tests::example());
        write(&image, &path).unwrap();
        let mut back = Image::new(2, 1, vec![0.0; 2]).unwrap();
        apply(&mut back, &path).unwrap();
        assert_eq!(back, image);
    }
}
