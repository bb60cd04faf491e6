//! HyperSpy's `.hspy` (and older `.hdf5`): signals with their axes and metadata, read and written.
//!
//! Layout: `Experiments/<title>/{data, axis-0, axis-1, ..., metadata, original_metadata}`, axes as attributes in array order
//! (<https://hyperspy.org/rosettasciio/file_specification/hspy.html>).

use super::bytes::squeeze;
use super::error::FileFault;
use super::hdf5::{Attributes, Store, broken, number, select, text};
use super::publish::publish;
use super::{Image, ImageError, Metadata, ReadOptions, sidecar, units};
use hdf5_pure::{AttrValue, FileBuilder, Group, GroupBuilder};
use std::io::Write;
use std::path::Path;

/// Where the detector's angles are put, beside HyperSpy's own entries of the microscope.
const DETECTOR: &str = "ADF";

/// Reads the signal `options.key`, or the only one; `None` when the file is not HyperSpy's.
pub(super) fn read(store: &Store, root: &Group, options: &ReadOptions) -> Result<Option<Image>, FileFault> {
    let Ok(experiments) = root.group("Experiments") else { return Ok(None) };
    let mut candidates = Vec::new();
    for name in experiments.groups().map_err(broken)? {
        let group = experiments.group(&name).map_err(broken)?;
        if group.dataset("data").is_ok() {
            candidates.push((vec![name.clone(), format!("Experiments/{name}"), format!("Experiments/{name}/data")], group));
        }
    }
    if candidates.is_empty() {
        return Ok(None);
    }
    let group = select(candidates, options.key.as_deref())?;
    let array = store.array(&group.dataset("data").map_err(broken)?)?;
    let mut image = array.image(options.page)?;
    calibrate(&mut image, &group, &array.shape);
    image.metadata = metadata(&group, std::mem::take(&mut image.metadata));
    Ok(Some(image))
}

/// Pixel size from the axes of the last two dimensions that are longer than 1.
fn calibrate(image: &mut Image, group: &Group, shape: &[usize]) {
    let mut axes: Vec<usize> = (0..shape.len()).collect();
    squeeze(&mut axes, |&a| shape[a]);
    let axis = |i: Option<&usize>| -> Option<(f64, String)> {
        let attributes = group.group(&format!("axis-{}", i?)).ok()?.attrs().ok()?;
        Some((number(&attributes, "scale")?, text(&attributes, "units").unwrap_or_default()))
    };
    let mut from_end = axes.iter().rev();
    let (x, y) = (axis(from_end.next()), axis(from_end.next()));
    if let (Some((x, unit)), Some((y, unit_y))) = (x, y) {
        // The two axes may be in different units; bring y to the unit of x.
        let ratio = units::picometres(&unit_y).zip(units::picometres(&unit)).map_or(1.0, |(y, x)| y / x);
        image.calibrate([x, y * ratio], &unit);
    }
}

fn metadata(group: &Group, mut found: Metadata) -> Metadata {
    let attributes = |path: &str| group.group(path).ok().and_then(|g| g.attrs().ok()).unwrap_or_default();
    found.title = text(&attributes("metadata/General"), "title");
    let microscope = attributes("metadata/Acquisition_instrument/TEM");
    found.beam_energy_kev = number(&microscope, "beam_energy");
    found.convergence_mrad = number(&microscope, "convergence_angle");
    if let Ok(detectors) = group.group("metadata/Acquisition_instrument/TEM/Detector") {
        let mut names = detectors.groups().unwrap_or_default();
        names.sort_unstable();
        for name in names {
            let attributes = detectors.group(&name).ok().and_then(|g| g.attrs().ok()).unwrap_or_default();
            take_detector(&mut found, &name, &attributes);
        }
    }
    found
}

/// Angles by the name of their entry, whatever program put them there: one that says `inner`/`outer` and `angle`.
fn take_detector(found: &mut Metadata, group: &str, attributes: &Attributes) {
    let mut names: Vec<&String> = attributes.keys().collect();
    names.sort_unstable();
    for name in names {
        let lower = name.to_lowercase();
        if !lower.contains("ang") {
            continue;
        }
        let angle = number(attributes, name);
        if lower.contains("inner") && found.detector_inner_mrad.is_none() {
            found.detector_inner_mrad = angle;
            found.detector_name = text(attributes, "name").or_else(|| Some(group.to_owned()));
        } else if lower.contains("outer") && found.detector_outer_mrad.is_none() {
            found.detector_outer_mrad = angle;
        }
    }
}

impl Image {
    /// Writes the image as a HyperSpy signal (f32, axes y and x, in nm where the pixel size is known) with title, beam energy and
    /// detector angles, and the sidecar `PATH.json` with all else.
    ///
    /// # Errors
    /// [`ImageError::Write`] where the disk refuses, [`ImageError::Truth`] for a ground truth that is none.
    pub fn write_hspy(&self, path: impl AsRef<Path>) -> Result<(), ImageError> {
        let path = path.as_ref();
        let content = self.hspy().map_err(|e| ImageError::Write { path: path.to_path_buf(), source: std::io::Error::other(e) })?;
        sidecar::write(self, path)?;
        publish(path, |file| file.write_all(&content))
    }

    fn hspy(&self) -> Result<Vec<u8>, hdf5_pure::Error> {
        let title = self.metadata.title.clone().unwrap_or_default();
        let mut file = FileBuilder::new();
        // The entry `package` is left out: HyperSpy checks the version in it as if it were its own.
        file.set_attr("file_format", string("HyperSpy"));
        file.set_attr("file_format_version", string("3.3"));
        let mut experiments = file.create_group("Experiments");
        // A slash would split the name of the group.
        let name = if title.is_empty() { "__unnamed__".to_owned() } else { title.replace('/', "-") };
        let mut signal = experiments.create_group(&name);
        signal.create_dataset("data").with_f32_data(&self.data).with_shape(&[self.height as u64, self.width as u64]);
        let sizes = self.pixel_sizes_pm();
        for (index, (axis, size)) in [("y", self.height), ("x", self.width)].into_iter().enumerate() {
            let mut group = signal.create_group(&format!("axis-{index}"));
            group.set_attr("_type", string("UniformDataAxis"));
            group.set_attr("name", string(axis));
            // From picometres to HyperSpy's customary nanometres.
            group.set_attr("scale", AttrValue::F64(sizes.map_or(1.0, |s| s[1 - index] * 1e-3)));
            group.set_attr("offset", AttrValue::F64(0.0));
            group.set_attr("size", AttrValue::I64(size as i64));
            group.set_attr("units", string(if sizes.is_some() { "nm" } else { "px" }));
            // `navigate` and `is_binned` are left out: HyperSpy takes nothing but h5py's enumeration for a truth value, and both are
            // false by default.
            signal.add_group(group.finish());
        }
        let metadata = self.hspy_metadata(signal.create_group("metadata"), &title);
        signal.add_group(metadata.finish());
        for empty in ["original_metadata", "learning_results"] {
            let group = signal.create_group(empty);
            signal.add_group(group.finish());
        }
        experiments.add_group(signal.finish());
        file.add_group(experiments.finish());
        file.finish()
    }

    fn hspy_metadata(&self, mut metadata: GroupBuilder, title: &str) -> GroupBuilder {
        let mut general = metadata.create_group("General");
        general.set_attr("title", string(title));
        metadata.add_group(general.finish());
        let mut kind = metadata.create_group("Signal");
        kind.set_attr("signal_type", string(""));
        metadata.add_group(kind.finish());
        let mut instrument = metadata.create_group("Acquisition_instrument");
        let mut tem = instrument.create_group("TEM");
        tem.set_attr("acquisition_mode", string("STEM"));
        let m = &self.metadata;
        set(&mut tem, "beam_energy", m.beam_energy_kev);
        set(&mut tem, "convergence_angle", m.convergence_mrad);
        if m.detector_name.is_some() || m.detector_inner_mrad.is_some() || m.detector_outer_mrad.is_some() {
            let mut detectors = tem.create_group("Detector");
            let mut detector = detectors.create_group(DETECTOR);
            detector.set_attr("name", string(m.detector_name.as_deref().unwrap_or(DETECTOR)));
            set(&mut detector, "inner_angle", m.detector_inner_mrad);
            set(&mut detector, "outer_angle", m.detector_outer_mrad);
            detectors.add_group(detector.finish());
            tem.add_group(detectors.finish());
        }
        instrument.add_group(tem.finish());
        metadata.add_group(instrument.finish());
        metadata
    }
}

/// h5py hands variable-length strings back as `str`, which HyperSpy expects; fixed-length ones would be bytes.
fn string(text: &str) -> AttrValue {
    AttrValue::VarLenString(text.to_owned())
}

fn set(group: &mut GroupBuilder, name: &str, value: Option<f64>) {
    if let Some(value) = value {
        group.set_attr(name, AttrValue::F64(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Image {
        let mut image = Image::new(3, 2, vec![0.0, 1.5, f32::NAN, -3.0, 4.0, 1e-30]).unwrap();
        image.set_pixel_sizes_pm(15.1, 15.3).unwrap();
        image.metadata.title = Some("Sm-BFO 10/1".into());
        image.metadata.beam_energy_kev = Some(200.0);
        image.metadata.convergence_mrad = Some(30.0);
        image.metadata.detector_name = Some("HAADF".into());
        image.metadata.detector_inner_mrad = Some(70.0);
        image.metadata.detector_outer_mrad = Some(200.0);
        image
    }

    #[test]
    fn what_is_written_is_read_back_even_without_the_sidecar() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.hspy");
        let image = example();
        image.write(&path).unwrap();
        std::fs::remove_file(crate::image::sidecar_path(&path)).unwrap();
        let mut back = Image::read(&path, &ReadOptions::default()).unwrap();
        assert!(back.data.iter().zip(&image.data).all(|(a, b)| a.to_bits() == b.to_bits()));
        let [x, y] = back.pixel_sizes_pm().unwrap();
        assert!((x - 15.1).abs() < 1e-9 && (y - 15.3).abs() < 1e-9, "{x} {y}");
        assert_eq!(back.metadata.original_units.take().as_deref(), Some("nm"));
        back.metadata.source_file = None;
        assert_eq!(back.metadata, image.metadata);
    }

    #[test]
    fn an_image_without_pixel_size_comes_back_without() {
        let image = Image::new(2, 1, vec![1.0, 2.0]).unwrap();
        let back = Image::from_bytes("a.hspy", &image.hspy().unwrap(), &ReadOptions::default()).unwrap();
        assert_eq!((back.pixel_size_pm, back.data), (None, image.data));
    }
}
