//! Writes a float32 TIFF that `ImageJ`, HyperSpy and tifffile open with its pixel size (nm).

use super::publish::publish;
use super::{Image, ImageError, sidecar};
use ::tiff::encoder::{Rational, TiffEncoder, colortype};
use ::tiff::tags::{ResolutionUnit, Tag};
use std::io::Cursor;
use std::path::Path;

impl Image {
    /// Writes the pixels as a float32 TIFF with `ImageJ`'s description and resolution (pixels per nm), and the sidecar `PATH.json`
    /// with all else.
    ///
    /// # Errors
    /// [`ImageError::Write`] where the disk refuses or the image has more than 2^32 bytes, [`ImageError::Truth`] for a ground truth
    /// that is none.
    pub fn write_tiff(&self, path: impl AsRef<Path>) -> Result<(), ImageError> {
        let path = path.as_ref();
        let content = self.encode().map_err(|e| ImageError::Write { path: path.to_path_buf(), source: std::io::Error::other(e) })?;
        sidecar::write(self, path)?;
        publish(path, |file| std::io::Write::write_all(file, &content))
    }

    fn encode(&self) -> Result<Vec<u8>, ::tiff::TiffError> {
        let mut content = Cursor::new(Vec::with_capacity(self.data.len() * 4 + 1024));
        let mut encoder = TiffEncoder::new(&mut content)?;
        let mut page = encoder.new_image::<colortype::Gray32Float>(self.width as u32, self.height as u32)?;
        // Without an `images` entry ImageJ reads one page; `unit` gives the resolution its meaning.
        let mut description = String::from("ImageJ=1.54f\n");
        if let Some([x, y]) = self.pixel_sizes_pm() {
            description.push_str("unit=nm\n");
            page.resolution_unit(ResolutionUnit::None);
            page.x_resolution(rational(1e3 / x));
            page.y_resolution(rational(1e3 / y));
            // HyperSpy takes the scale of ImageJ's tags but not the unit; these four are Gatan's, which it understands whole.
            for (tag, value) in [(65009, y), (65010, x)] {
                page.encoder().write_tag(Tag::Unknown(tag), value * 1e-3)?;
            }
            for tag in [65003, 65004] {
                page.encoder().write_tag(Tag::Unknown(tag), "nm")?;
            }
        }
        if let Some([low, high]) = self.statistics().map(|s| [s.min, s.max]) {
            description.extend(["min=", &low.to_string(), "\nmax=", &high.to_string(), "\n"]);
        }
        page.encoder().write_tag(Tag::ImageDescription, description.as_str())?;
        page.write_data(&self.data)?;
        Ok(content.into_inner())
    }
}

/// The fraction n/d nearest to a positive number within 32-bit parts: by continued fraction, exact to about 1e-15.
fn rational(value: f64) -> Rational {
    let limit = f64::from(u32::MAX);
    let (mut n, mut d) = ([1.0, value.floor().clamp(0.0, limit)], [0.0, 1.0]);
    let mut rest = value - value.floor();
    while rest > 1e-12 {
        let term = (1.0 / rest).floor();
        rest = 1.0 / rest - term;
        let next = (term * n[1] + n[0], term * d[1] + d[0]);
        if next.0 > limit || next.1 > limit {
            break;
        }
        n = [n[1], next.0];
        d = [d[1], next.1];
    }
    Rational { n: n[1] as u32, d: d[1] as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Page, ReadOptions};

    #[test]
    fn fractions_are_within_a_part_in_a_million_million() {
        for value in [1e3 / 15.1, 0.1, 66.0, 1.0 / 3.0, std::f64::consts::PI * 1e4] {
            let r = rational(value);
            assert!((f64::from(r.n) / f64::from(r.d) / value - 1.0).abs() < 1e-12, "{value}: {}/{}", r.n, r.d);
        }
    }

    #[test]
    fn what_is_written_is_read_back_even_without_the_sidecar() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tif");
        let mut image = Image::new(3, 2, vec![0.0, 1.5, f32::NAN, -3.0, 4.0, 1e-30]).unwrap();
        image.set_pixel_sizes_pm(15.1, 15.3).unwrap();
        image.write(&path).unwrap();
        std::fs::remove_file(crate::image::sidecar_path(&path)).unwrap();
        let back = Image::read(&path, &ReadOptions { page: Page::Index(0), ..ReadOptions::default() }).unwrap();
        assert!(back.data.iter().zip(&image.data).all(|(a, b)| a.to_bits() == b.to_bits()));
        let [x, y] = back.pixel_sizes_pm().unwrap();
        assert!((x - 15.1).abs() < 1e-9 && (y - 15.3).abs() < 1e-9, "{x} {y}");
        assert_eq!(back.metadata.original_units.as_deref(), Some("nm"));
    }
}
