//! A library as bytes that can be kept: magic, a JSON header, coefficients as little-endian f64, and the BLAKE3 hash of all before it.

use super::{Imaging, Library, LibraryAxes, Material, SceneError};
use crate::image::FourierImage;
use crate::microscope::AnnularDetector;
use num_complex::Complex64;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// First bytes of every kept library. The number changes whenever the same inputs would give other images.
const MAGIC: &[u8] = b"mistilt library 2\n";
/// Longest header that is believed, bytes.
const LONGEST_HEADER: usize = 1 << 20;
/// Bytes of the hash.
const HASH: usize = 32;

/// What is known of the images before the images.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    key: String,
    axes: LibraryAxes,
    detectors: Vec<AnnularDetector>,
    cell_angstrom: [[f64; 2]; 2],
    limits: [usize; 2],
    images: usize,
    lost: f64,
    engine: String,
}

impl Library {
    /// The name under which a library of these inputs is kept: a hash of everything that its images depend on.
    #[must_use]
    pub fn key(material: &Material, axes: &LibraryAxes, imaging: &Imaging) -> String {
        // The axes name the defoci, whatever the probe's own.
        let imaging = imaging.at_defocus(0.0);
        // Debug writes every field, and every f64 so that it reads back as the same.
        let inputs = format!("{:?} {material:?} {axes:?} {imaging:?}", String::from_utf8_lossy(MAGIC));
        blake3::hash(inputs.as_bytes()).to_hex().to_string()
    }

    /// The library as bytes, under its key.
    pub fn to_bytes(&self, key: &str) -> Result<Vec<u8>, SceneError> {
        let none = |what: &str| SceneError::NoLibrary { what: what.to_owned() };
        let first = self.images.first().ok_or_else(|| none("it holds no image"))?;
        if self.images.iter().any(|i| i.limits() != first.limits()) {
            return Err(none("its images have different limits"));
        }
        let header = Header {
            key: key.to_owned(),
            axes: self.axes.clone(),
            detectors: self.detectors.clone(),
            cell_angstrom: first.cell_angstrom(),
            limits: first.limits(),
            images: self.images.len(),
            lost: self.lost,
            engine: self.engine.clone(),
        };
        let header = serde_json::to_vec(&header).map_err(|e| none(&e.to_string()))?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend((header.len() as u64).to_le_bytes());
        bytes.extend(header);
        for (_, _, c) in self.images.iter().flat_map(FourierImage::iter) {
            bytes.extend(c.re.to_le_bytes());
            bytes.extend(c.im.to_le_bytes());
        }
        bytes.extend(blake3::hash(&bytes).as_bytes());
        Ok(bytes)
    }

    /// The library that these bytes hold, if they are whole and were kept under this key.
    pub fn from_bytes(bytes: &[u8], key: &str, material: &Material) -> Result<Self, SceneError> {
        let none = |what: &str| SceneError::NoLibrary { what: what.to_owned() };
        let (content, hash) = bytes.split_at_checked(bytes.len().saturating_sub(HASH)).ok_or_else(|| none("too short"))?;
        if blake3::hash(content).as_bytes() != hash {
            return Err(none("their hash does not fit, so they were cut or changed"));
        }
        let rest = content.strip_prefix(MAGIC).ok_or_else(|| none("they begin otherwise"))?;
        let (length, rest) = rest.split_first_chunk::<8>().ok_or_else(|| none("no header"))?;
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > LONGEST_HEADER || length > rest.len() {
            return Err(none("the header is longer than they are"));
        }
        let (header, numbers) = rest.split_at(length);
        let header: Header = serde_json::from_slice(header).map_err(|e| none(&e.to_string()))?;
        if header.key != key {
            return Err(none("they were kept for other inputs"));
        }
        let [h, k] = header.limits;
        let per_image = h.saturating_mul(2).saturating_add(1).saturating_mul(k.saturating_mul(2).saturating_add(1));
        let expected = header.axes.nodes().saturating_mul(header.detectors.len());
        if header.images != expected || per_image.saturating_mul(16).checked_mul(expected) != Some(numbers.len()) || expected == 0 {
            return Err(none("they hold another number of images than their axes have nodes"));
        }
        let images = numbers.chunks_exact(16 * per_image).map(|part| image(part, header.cell_angstrom, header.limits)).collect();
        let Header { axes, detectors, lost, engine, .. } = header;
        let responses = vec![OnceLock::new(); detectors.len()];
        Ok(Self { material: material.clone(), axes, detectors, images, lost, engine, responses })
    }
}

/// One image from its coefficients, in the order of [`FourierImage::iter`].
fn image(bytes: &[u8], cell_angstrom: [[f64; 2]; 2], limits: [usize; 2]) -> FourierImage {
    let mut image = FourierImage::zeros(cell_angstrom, limits[0], limits[1]);
    let places: Vec<(i32, i32)> = image.iter().map(|(h, k, _)| (h, k)).collect();
    let number = |eight: &[u8]| eight.try_into().map_or(0.0, f64::from_le_bytes);
    for ((h, k), pair) in places.into_iter().zip(bytes.chunks_exact(16)) {
        image.add(h, k, Complex64::new(number(&pair[..8]), number(&pair[8..])));
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crystal::structures;

    fn library() -> Library {
        let mut image = FourierImage::zeros([[3.9, 0.0], [0.0, 3.9]], 2, 1);
        image.add(1, -1, Complex64::new(0.25, -1e-9));
        let axes = LibraryAxes {
            displacement_x_pm: vec![1.0 / 3.0],
            displacement_y_pm: vec![0.0],
            displacement_z_pm: 0.0,
            composition: vec![0.0],
            tilt_x_mrad: vec![0.0],
            tilt_y_mrad: vec![0.0],
            defocus_angstrom: vec![0.0],
            layers: vec![3, 5],
        };
        let detectors = vec![AnnularDetector { name: "haadf".into(), inner_mrad: 60.0, outer_mrad: 100.0 }];
        let material = Material::new(&structures::get("bifeo3-r3c").unwrap(), "Sm").unwrap();
        Library {
            material,
            axes,
            detectors,
            images: vec![image.clone(), image],
            lost: 0.01,
            engine: "test".into(),
            responses: vec![OnceLock::new()],
        }
    }

    #[test]
    fn a_library_comes_back_bit_by_bit_and_only_under_its_key() {
        let library = library();
        let bytes = library.to_bytes("abc").unwrap();
        let back = Library::from_bytes(&bytes, "abc", &library.material).unwrap();
        assert_eq!(back.images, library.images);
        assert_eq!((back.axes, back.lost, back.engine), (library.axes.clone(), 0.01, "test".to_owned()));
        assert!(Library::from_bytes(&bytes, "abd", &library.material).unwrap_err().to_string().contains("other inputs"));
    }

    #[test]
    fn bytes_that_were_cut_or_changed_are_refused() {
        let library = library();
        let bytes = library.to_bytes("abc").unwrap();
        for n in [0, 10, 40, bytes.len() - 1] {
            assert!(Library::from_bytes(&bytes[..n], "abc", &library.material).is_err());
        }
        let mut changed = bytes;
        changed[60] ^= 1;
        assert!(Library::from_bytes(&changed, "abc", &library.material).unwrap_err().to_string().contains("hash"));
    }
}
