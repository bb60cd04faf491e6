//! From pixels of an image to a picture on the sheet: contrast limits, colour maps, averaging of pixels finer than print.

use super::ReportError;
use super::canvas::Picture;

/// No more pixels of a picture are put in a figure: 183 mm at 600 dots per inch.
const MOST_PIXELS: usize = 4300;

/// Colours of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColourMap {
    /// Black to white.
    #[default]
    Grey,
    /// Viridis: perceptually uniform, safe for colour-blind readers.
    Viridis,
    /// Cividis: perceptually uniform, the same for colour-blind readers.
    Cividis,
}

impl ColourMap {
    /// The colour of a fraction of the range, 0-1; NaN gives the low end.
    pub(crate) fn color(self, fraction: f64) -> [u8; 3] {
        let fraction = if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) };
        match self {
            ColourMap::Grey => [(fraction * 255.0).round() as u8; 3],
            ColourMap::Viridis => colorous::VIRIDIS.eval_continuous(fraction).as_array(),
            ColourMap::Cividis => colorous::CIVIDIS.eval_continuous(fraction).as_array(),
        }
    }
}

/// Pixels of an image, row by row from the top; pixel (0, 0) has its centre at x = 0, y = 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pixels {
    /// Intensities, `width × height` of them.
    pub values: Vec<f32>,
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Edge of a pixel in picometres.
    pub pixel_size_pm: f64,
}

impl Pixels {
    /// Refuse pixels that are not an image.
    pub(crate) fn check(&self, figure: &'static str) -> Result<(), ReportError> {
        if self.values.is_empty() || self.width == 0 || self.height == 0 {
            return Err(ReportError::Empty { figure, missing: "the image has no pixels".to_owned() });
        }
        let expected = self.width.saturating_mul(self.height);
        if self.values.len() != expected {
            return Err(ReportError::Length { figure, what: "the image".to_owned(), found: self.values.len(), expected });
        }
        if self.pixel_size_pm.is_nan() || self.pixel_size_pm <= 0.0 || self.pixel_size_pm.is_infinite() {
            let what = "the pixel size in pm".to_owned();
            return Err(ReportError::Range { figure, what, found: self.pixel_size_pm, allowed: "positive" });
        }
        if !self.values.iter().any(|value| value.is_finite()) {
            return Err(ReportError::Empty { figure, missing: "no pixel of the image is a finite number".to_owned() });
        }
        Ok(())
    }

    /// Lower and upper limit of the contrast: the quantiles 0.001 and 0.999, so that a hot pixel does not darken the rest.
    pub(crate) fn limits(&self) -> (f64, f64) {
        let mut values: Vec<f32> = self.values.iter().copied().filter(|value| value.is_finite()).collect();
        values.sort_unstable_by(f32::total_cmp);
        let at = |quantile: f64| f64::from(values[((values.len() - 1) as f64 * quantile).round() as usize]);
        if values.is_empty() { (0.0, 1.0) } else { (at(0.001), at(0.999)) }
    }

    /// The picture with `limits` at the ends of the colour map; pixels finer than print are averaged.
    pub(crate) fn picture(&self, map: ColourMap, limits: (f64, f64)) -> Picture {
        let bin = self.width.max(self.height).div_ceil(MOST_PIXELS).max(1);
        let (width, height) = (self.width.div_ceil(bin), self.height.div_ceil(bin));
        let span = if limits.1 > limits.0 { limits.1 - limits.0 } else { 1.0 };
        let mut rgb = Vec::with_capacity(3 * width * height);
        for row in 0..height {
            for column in 0..width {
                let value = self.mean(column * bin, row * bin, bin);
                rgb.extend(map.color((value - limits.0) / span));
            }
        }
        Picture { rgb, width, height }
    }

    fn mean(&self, left: usize, top: usize, bin: usize) -> f64 {
        let (right, bottom) = ((left + bin).min(self.width), (top + bin).min(self.height));
        let (mut sum, mut count) = (0.0, 0.0);
        for row in top..bottom {
            for value in &self.values[row * self.width + left..row * self.width + right] {
                sum += f64::from(*value);
                count += 1.0;
            }
        }
        sum / count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hot_pixel_does_not_set_the_contrast() {
        let mut values: Vec<f32> = (0..10_000_u16).map(|i| f32::from(i % 100)).collect();
        values[5] = 1e6;
        values[6] = f32::NAN;
        let pixels = Pixels { values, width: 100, height: 100, pixel_size_pm: 10.0 };
        assert_eq!(pixels.limits(), (0.0, 99.0));
        let picture = pixels.picture(ColourMap::Grey, pixels.limits());
        assert_eq!((picture.rgb[0], picture.rgb[3 * 99], picture.rgb[3 * 5]), (0, 255, 255));
    }

    #[test]
    fn what_is_not_an_image_is_refused() {
        let pixels = Pixels { values: vec![1.0; 5], width: 2, height: 3, pixel_size_pm: 10.0 };
        assert_eq!(pixels.check("image row").unwrap_err().to_string(), "image row: the image has 5 values where 6 are needed");
        let pixels = Pixels { values: vec![1.0; 6], width: 2, height: 3, pixel_size_pm: 0.0 };
        assert!(pixels.check("image row").unwrap_err().to_string().contains("pixel size in pm is 0; it must be positive"));
        let pixels = Pixels { values: vec![f32::NAN; 6], width: 2, height: 3, pixel_size_pm: 1.0 };
        assert!(pixels.check("image row").is_err() && Pixels::default().check("image row").is_err());
    }
}
