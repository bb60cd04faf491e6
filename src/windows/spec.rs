//! How windows are cut: where they stand, how wide they are, what is done to their values, and why one is refused.

use super::WindowsError;
use std::fmt;

/// Everything that decides how an image becomes windows.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct WindowSpec {
    /// Where the windows stand.
    pub placement: Placement,
    /// How wide they are.
    pub size: WindowSize,
    /// Pixel size the image is resampled to before it is cut, pm; `None` keeps its own.
    pub pixel_size_pm: Option<f64>,
    /// What is done to the values.
    pub normalisation: Normalisation,
    /// Largest part of a window that may be without data, 0 to 0.5; what is missing is set to the window's mean.
    pub max_missing: f64,
}

impl Default for WindowSpec {
    fn default() -> Self {
        Self {
            placement: Placement::Centred,
            size: WindowSize::Lattices(2.0),
            pixel_size_pm: None,
            normalisation: Normalisation::Window,
            max_missing: 0.0,
        }
    }
}

/// Where windows stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// One on every B column, at the whole pixel nearest to it: the image is not interpolated. It takes atom finding.
    Centred,
    /// One at every step of a square grid, wherever the columns are; the label is the interpolated polarization field.
    Grid {
        /// Step, px of the image as cut.
        step_px: usize,
    },
}

/// Side of a window.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WindowSize {
    /// Pixels of the image as cut.
    Pixels(usize),
    /// Sides of the pseudocubic cell, rounded to whole pixels.
    Lattices(f64),
}

/// What is done to the values of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalisation {
    /// Each window to mean 0 and standard deviation 1: blind to the dose, the gain and the thickness.
    #[default]
    Window,
    /// The image to mean 0 and standard deviation 1: brighter and darker regions stay so.
    Image,
    /// As they are in the image.
    None,
}

/// Why a window is not in the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It would reach over the edge of the image.
    Edge,
    /// Too much of it is without data.
    Missing,
    /// It touches the mask.
    Masked,
    /// All its pixels are alike: there is nothing to normalise by.
    Flat,
    /// The polarization field does not reach there.
    NoLabel,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edge => "reach over the edge",
            Self::Missing => "lack data",
            Self::Masked => "touch the mask",
            Self::Flat => "are flat",
            Self::NoLabel => "have no label",
        })
    }
}

/// Sides a window may have, px.
const SIDES: std::ops::RangeInclusive<usize> = 4..=1024;

impl WindowSpec {
    /// Checks the numbers that need no image.
    ///
    /// # Errors
    /// [`WindowsError::Range`] names the one that is wrong.
    pub fn check(&self) -> Result<(), WindowsError> {
        let range = |what, value, allowed| Err(WindowsError::Range { what, value, allowed });
        if !(0.0..=0.5).contains(&self.max_missing) {
            return range("the part of a window that may be missing", self.max_missing, "0 to 0.5");
        }
        match self.size {
            WindowSize::Lattices(a) if !(0.5..=16.0).contains(&a) => {
                return range("the window's side in lattice parameters", a, "0.5 to 16");
            }
            WindowSize::Pixels(n) if !SIDES.contains(&n) => return range("the window's side in px", n as f64, "4 to 1024"),
            _ => {}
        }
        if let Some(pm) = self.pixel_size_pm.filter(|pm| !(pm.is_finite() && *pm > 0.0)) {
            return range("the pixel size of the windows in pm", pm, "above 0");
        }
        match self.placement {
            Placement::Grid { step_px: 0 } => range("the step of the grid in px", 0.0, "at least 1"),
            _ => Ok(()),
        }
    }

    /// Side of a window, px, in an image of `width` × `height` pixels of `pixel_size_pm`, where a cell is `lattice_a_px` wide.
    ///
    /// # Errors
    /// [`WindowsError::NoLattice`] where the cell is needed and not known, [`WindowsError::Size`] if the window does not fit.
    pub fn side_px(&self, lattice_a_px: Option<f64>, width: usize, height: usize, pixel_size_pm: f64) -> Result<usize, WindowsError> {
        let size_px = match self.size {
            WindowSize::Pixels(n) => n,
            WindowSize::Lattices(lattices) => {
                let a = lattice_a_px.filter(|a| a.is_finite() && *a > 0.0).ok_or(WindowsError::NoLattice { lattices })?;
                (lattices * a).round() as usize
            }
        };
        if SIDES.contains(&size_px) && size_px <= width.min(height) {
            Ok(size_px)
        } else {
            Err(WindowsError::Size { size_px, width, height, pixel_size_pm })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_in_lattice_parameters_becomes_whole_pixels() {
        let spec = WindowSpec { size: WindowSize::Lattices(1.5), ..WindowSpec::default() };
        assert_eq!(spec.side_px(Some(19.8), 100, 100, 20.0).unwrap(), 30);
        assert!(matches!(spec.side_px(None, 100, 100, 20.0), Err(WindowsError::NoLattice { .. })));
        let refusal = spec.side_px(Some(80.0), 100, 100, 5.0).unwrap_err().to_string();
        assert!(refusal.contains("120 px") && refusal.contains("100 x 100 px of 5.00 pm"), "{refusal}");
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        let bad = [
            (WindowSpec { max_missing: f64::NAN, ..WindowSpec::default() }, "may be missing"),
            (WindowSpec { size: WindowSize::Pixels(3), ..WindowSpec::default() }, "side in px"),
            (WindowSpec { size: WindowSize::Lattices(0.4), ..WindowSpec::default() }, "lattice parameters"),
            (WindowSpec { pixel_size_pm: Some(-1.0), ..WindowSpec::default() }, "pixel size"),
            (WindowSpec { placement: Placement::Grid { step_px: 0 }, ..WindowSpec::default() }, "step of the grid"),
        ];
        for (spec, part) in bad {
            let refusal = spec.check().unwrap_err().to_string();
            assert!(refusal.contains(part), "{refusal}");
        }
        WindowSpec::default().check().unwrap();
    }
}
