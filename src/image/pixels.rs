//! An image: f32 pixels in row-major order (y down, NaN where there is no data), pixel size in pm, metadata and ground truth.

use super::{ImageError, Truth};

/// The most pixels an image may have: 2^28, a 16384 x 16384 frame.
pub const MAX_PIXELS: usize = 1 << 28;

/// Relative difference of the two sides of a pixel above which they are kept apart.
const SQUARE_TOLERANCE: f64 = 1e-3;

/// A real-space image with what is known of it.
///
/// Pixel (ix, iy) is `data[iy * width + ix]`; its centre lies at (ix, iy) in pixel coordinates, so (0, 0) is the centre of the
/// top left pixel; x runs right and y down.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Image {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height` values, row after row from the top; NaN where there is no data (infinities are read as NaN).
    pub data: Vec<f32>,
    /// Side of a pixel, pm; its width where pixels are not square.
    pub pixel_size_pm: Option<f64>,
    /// Height of a pixel, pm, only where it differs from the width by more than 0.1 %.
    pub pixel_height_pm: Option<f64>,
    /// What the file says of the microscope and of itself.
    pub metadata: Metadata,
    /// Where the columns truly are, for images that were simulated.
    pub truth: Option<Truth>,
}

/// What is known of an image besides its pixels; a field is `None` where the file has no such entry.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metadata {
    /// Title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Beam energy, keV (the acceleration voltage in kV).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beam_energy_kev: Option<f64>,
    /// Convergence semi-angle, mrad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub convergence_mrad: Option<f64>,
    /// Name of the detector, as the microscope calls it ("HAADF").
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detector_name: Option<String>,
    /// Inner collection semi-angle, mrad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detector_inner_mrad: Option<f64>,
    /// Outer collection semi-angle, mrad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detector_outer_mrad: Option<f64>,
    /// The file the image was read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_file: Option<String>,
    /// Unit in which the file gave the pixel size, as written there ("nm").
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_units: Option<String>,
    /// What a reader should know of how the file was understood ("colour turned to luminance").
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Metadata {
    /// These entries, and those of `other` where there are none; the notes of both.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.notes.extend(other.notes);
        // A note that both have is said once, where it stands first.
        let mut said = std::collections::BTreeSet::new();
        self.notes.retain(|note| said.insert(note.clone()));
        Self {
            title: self.title.or(other.title),
            beam_energy_kev: self.beam_energy_kev.or(other.beam_energy_kev),
            convergence_mrad: self.convergence_mrad.or(other.convergence_mrad),
            detector_name: self.detector_name.or(other.detector_name),
            detector_inner_mrad: self.detector_inner_mrad.or(other.detector_inner_mrad),
            detector_outer_mrad: self.detector_outer_mrad.or(other.detector_outer_mrad),
            source_file: self.source_file.or(other.source_file),
            original_units: self.original_units.or(other.original_units),
            notes: self.notes,
        }
    }
}

impl Image {
    /// An image of `data` (row after row from the top) without pixel size.
    ///
    /// # Errors
    /// [`ImageError::Shape`] when a side is zero, when there are more than [`MAX_PIXELS`], or when the values do not fill the shape.
    pub fn new(width: usize, height: usize, data: Vec<f32>) -> Result<Self, ImageError> {
        let fits = width > 0 && height > 0 && width.checked_mul(height).is_some_and(|n| n == data.len() && n <= MAX_PIXELS);
        if !fits {
            return Err(ImageError::Shape { width, height, len: data.len() });
        }
        Ok(Self { width, height, data, ..Self::default() })
    }

    /// The same image with square pixels of `pixel_size_pm`.
    ///
    /// # Errors
    /// [`ImageError::PixelSize`] when it is not a positive number.
    pub fn with_pixel_size_pm(mut self, pixel_size_pm: f64) -> Result<Self, ImageError> {
        self.set_pixel_sizes_pm(pixel_size_pm, pixel_size_pm)?;
        Ok(self)
    }

    /// Sets width and height of a pixel, pm; differences up to 0.1 % count as square.
    ///
    /// # Errors
    /// [`ImageError::PixelSize`] when one is not a positive number.
    pub fn set_pixel_sizes_pm(&mut self, x_pm: f64, y_pm: f64) -> Result<(), ImageError> {
        for value in [x_pm, y_pm] {
            if !(value.is_finite() && value > 0.0) {
                return Err(ImageError::PixelSize { value });
            }
        }
        self.pixel_size_pm = Some(x_pm);
        self.pixel_height_pm = ((x_pm - y_pm).abs() > SQUARE_TOLERANCE * x_pm).then_some(y_pm);
        Ok(())
    }

    /// Width and height of a pixel, pm, where known.
    #[must_use]
    pub fn pixel_sizes_pm(&self) -> Option<[f64; 2]> {
        self.pixel_size_pm.map(|x| [x, self.pixel_height_pm.unwrap_or(x)])
    }

    /// Side of the square pixels, pm: what every measurement in picometres needs.
    ///
    /// # Errors
    /// [`ImageError::NoPixelSize`] without one, [`ImageError::NotSquare`] when width and height differ.
    pub fn square_pixel_size_pm(&self) -> Result<f64, ImageError> {
        match (self.pixel_size_pm, self.pixel_height_pm) {
            (Some(x_pm), Some(y_pm)) => Err(ImageError::NotSquare { x_pm, y_pm }),
            (Some(x_pm), None) => Ok(x_pm),
            (None, _) => Err(ImageError::NoPixelSize),
        }
    }

    /// The pixel in column `ix` of row `iy`; `None` outside the image.
    #[must_use]
    pub fn get(&self, ix: usize, iy: usize) -> Option<f32> {
        (ix < self.width).then(|| self.data.get(iy * self.width + ix).copied()).flatten()
    }

    /// The rows from the top.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        // A width of 0 occurs in the default image only, which has no rows.
        self.data.chunks_exact(self.width.max(1))
    }

    /// Mean, smallest and largest of the pixels that have data; `None` when none has.
    #[must_use]
    pub fn statistics(&self) -> Option<Statistics> {
        let (mut sum, mut count) = (0.0, 0_usize);
        let (mut min, mut max) = (f32::INFINITY, f32::NEG_INFINITY);
        for &v in self.data.iter().filter(|v| v.is_finite()) {
            sum += f64::from(v);
            count += 1;
            min = min.min(v);
            max = max.max(v);
        }
        (count > 0).then(|| Statistics { mean: sum / count as f64, min: f64::from(min), max: f64::from(max), count })
    }
}

/// Mean and range of the pixels that have data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// Mean.
    pub mean: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Pixels that have data.
    pub count: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_and_data_must_agree() {
        assert!(Image::new(3, 2, vec![0.0; 6]).is_ok());
        for (w, h, n) in [(3, 2, 5), (0, 2, 0), (usize::MAX, 2, 4)] {
            assert!(matches!(Image::new(w, h, vec![0.0; n]), Err(ImageError::Shape { .. })));
        }
    }

    #[test]
    fn rows_run_down_and_columns_right() {
        let image = Image::new(3, 2, vec![0.0, 1.0, 2.0, 10.0, 11.0, 12.0]).unwrap();
        assert_eq!(image.get(2, 1), Some(12.0));
        assert_eq!((image.get(3, 0), image.get(0, 2)), (None, None));
        assert_eq!(image.rows().nth(1), Some(&[10.0, 11.0, 12.0][..]));
    }

    #[test]
    fn oblong_pixels_are_kept_and_refused_where_square_ones_are_needed() {
        let mut image = Image::new(1, 1, vec![1.0]).unwrap();
        assert!(matches!(image.square_pixel_size_pm(), Err(ImageError::NoPixelSize)));
        image.set_pixel_sizes_pm(10.0, 10.005).unwrap();
        assert!((image.square_pixel_size_pm().unwrap() - 10.0).abs() < 1e-12);
        image.set_pixel_sizes_pm(10.0, 10.02).unwrap();
        assert_eq!(image.pixel_sizes_pm(), Some([10.0, 10.02]));
        assert!(matches!(image.square_pixel_size_pm(), Err(ImageError::NotSquare { .. })));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(image.set_pixel_sizes_pm(10.0, bad), Err(ImageError::PixelSize { .. })));
        }
    }

    #[test]
    fn statistics_pass_over_pixels_without_data() {
        let image = Image::new(2, 2, vec![1.0, f32::NAN, 4.0, 1.0]).unwrap();
        assert_eq!(image.statistics(), Some(Statistics { mean: 2.0, min: 1.0, max: 4.0, count: 3 }));
        assert_eq!(Image::new(1, 1, vec![f32::NAN]).unwrap().statistics(), None);
    }
}
