//! The two front doors of column measurement, one for simulated images (Å) and one for pixels (px), and what they give or refuse.

use super::centre_of_mass::{self, Background};
use super::gaussian::{self, Shape};
use super::maximum;
use super::patch::{FourierPatches, Frame, MAX_RADIUS, Patch, Pixels};
use crate::image::FourierImage;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How a column's position is read from the image; they disagree on skewed columns, and their disagreement is a tilt detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// Centre of mass of the intensity above the window's minimum, in a round window that follows the centre. Noise lowers the minimum below
    /// the true background.
    CentreOfMass,
    /// Centre of mass of the intensity as it is: a pedestal pulls it toward the window's centre, which follows it, and neighbours weigh in.
    RawCentreOfMass,
    /// Least-squares 2-D Gaussian with two widths, any rotation, and a constant background.
    Gaussian,
    /// Least-squares 2-D Gaussian of one width and a constant background.
    RoundGaussian,
    /// The intensity maximum: of the Fourier series itself, or of a smooth local surface through pixels.
    Maximum,
    /// A B column and its four A columns fitted together: [`super::measure_cell`] and [`super::measure_cell_pixels`].
    CellFit,
}

/// The round window on a simulated image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Radius of the window, Å.
    pub radius_angstrom: f64,
    /// Distance of the samples on which an estimator works, Å. A window holds at most 256 samples along its radius.
    pub sample_angstrom: f64,
}

/// The round window on pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelWindow {
    /// Radius of the window, px, 1.5 to 256.
    pub radius_px: f64,
    /// Whether to work out the empirical covariance too, which takes several times as long as the fit.
    pub empirical: bool,
}

/// Widths of a column: standard deviations along its principal axes, in the image's unit, and the direction of the longer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Widths {
    /// Standard deviation along the longer axis.
    pub sigma_major: f64,
    /// Standard deviation along the shorter axis.
    pub sigma_minor: f64,
    /// From +x toward +y (clockwise on screen) to the longer axis, mrad, in (−π/2, π/2] rad; without meaning for a round column.
    pub angle_mrad: f64,
}

/// A measured column. The unit of length is that of the image measured: Å on a [`FourierImage`], px on [`Pixels`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ColumnFit {
    /// Position, image axes (x right, y down); pixel (i, j) has its centre at (i, j).
    pub position: [f64; 2],
    /// Formal covariance of the position [xx, xy, yy], from residuals taken as independent; `None` without noise (simulated images).
    pub covariance: Option<[f64; 3]>,
    /// Covariance of the position [xx, xy, yy] that allows for residuals correlated between neighbouring pixels; `None` where not
    /// asked for, where the estimator has no residuals, or too few to tell.
    pub empirical_covariance: Option<[f64; 3]>,
    /// Height of the peak above the background.
    pub amplitude: f64,
    /// Background under the column.
    pub background: f64,
    /// Widths; `None` where the estimator has none.
    pub widths: Option<Widths>,
    /// Root mean square of the residuals; `None` where the estimator has no model.
    pub residual_rms: Option<f64>,
    /// Third moment ⟨d d²⟩ / ⟨d²⟩^(3/2) of the intensity above the background about the position, a vector in image axes without unit:
    /// 0 for a symmetric column, toward the longer tail of a skewed one. `None` where there is no intensity above the background.
    pub skewness: Option<[f64; 2]>,
    /// Samples in the window.
    pub samples: usize,
    /// Iterations of the last fit.
    pub iterations: usize,
}

/// Why a column was not measured. No other estimator or position takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Error, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum FitFailure {
    /// The window cannot be used.
    #[error("the window's radius must be 1.5 to 256 samples, not {radius_samples}; change the radius or the sample distance")]
    BadWindow {
        /// Radius asked for, in samples.
        radius_samples: f64,
    },
    /// The start lies beyond the image.
    #[error("the start of the column lies outside the image; start from a position inside it")]
    OutsideImage,
    /// Edges, dead rows or masks took the window's samples.
    #[error(
        "only {found} samples of the window are there, {needed} are needed; leave out columns at edges and dead rows, or widen the window"
    )]
    TooFewSamples {
        /// Samples present.
        found: usize,
        /// Samples needed.
        needed: usize,
    },
    /// The position found is not in the window.
    #[error(
        "the column was found {distance_samples:.1} samples from its start, outside the window; start closer or check for a missing column"
    )]
    LeftWindow {
        /// Distance from the start, samples.
        distance_samples: f64,
    },
    /// Iterations ran out.
    #[error("the fit did not converge within {iterations} iterations; the window may hold no column or more than one")]
    DidNotConverge {
        /// Iterations spent.
        iterations: usize,
    },
    /// A width beyond what the window can tell.
    #[error(
        "the fitted width {sigma_samples:.2} samples is below 0.25 samples or above twice the window's radius; the window may hold no column"
    )]
    WidthRanAway {
        /// The offending standard deviation, samples.
        sigma_samples: f64,
    },
    /// A pit, not a peak.
    #[error("the fitted amplitude is not positive: there is a dip, not a column; is the contrast inverted (bright field)?")]
    AmplitudeNotPositive,
    /// Nothing to see.
    #[error("the window is flat: nothing in it stands out of the background")]
    Flat,
    /// The data do not determine the model.
    #[error("the window's samples do not determine the model's parameters; widen the window")]
    Undetermined,
    /// Numbers that are not finite.
    #[error("the samples or the start hold numbers that are not finite, or too large to square")]
    NotFinite,
    /// The estimator needs five starts.
    #[error("a cell fit starts from five columns, a B and its four A; call the cell fit itself")]
    NeedsFiveColumns,
}

/// Measures the column near `start_angstrom` on a simulated image; positions in Å.
///
/// The window follows the column: the result does not depend on where inside it the search began.
pub fn measure(image: &FourierImage, start_angstrom: [f64; 2], window: &Window, estimator: Estimator) -> Result<ColumnFit, FitFailure> {
    let source = FourierSource::new(image, window)?;
    match estimator {
        Estimator::Maximum => maximum::on_fourier(image, start_angstrom, window, &source.cut(start_angstrom)?),
        Estimator::CentreOfMass => centre_of_mass::fit(&source, start_angstrom, Background::Minimum),
        Estimator::RawCentreOfMass => centre_of_mass::fit(&source, start_angstrom, Background::None),
        Estimator::Gaussian => gaussian::fit(&source, start_angstrom, Shape::Elliptical),
        Estimator::RoundGaussian => gaussian::fit(&source, start_angstrom, Shape::Round),
        Estimator::CellFit => Err(FitFailure::NeedsFiveColumns),
    }
}

/// Measures the column near `start_px` on pixels; positions in px.
///
/// The window follows the column to within half a pixel. Where it crosses an edge, a dead row or a mask, the samples that are left are used if they are two thirds of it or more.
pub fn measure_pixels(
    pixels: &Pixels<'_>,
    start_px: [f64; 2],
    window: &PixelWindow,
    estimator: Estimator,
) -> Result<ColumnFit, FitFailure> {
    let source = PixelSource { pixels, radius: checked_radius(window.radius_px)?, empirical: window.empirical };
    match estimator {
        Estimator::Maximum => maximum::on_pixels(&source, start_px),
        Estimator::CentreOfMass => centre_of_mass::fit(&source, start_px, Background::Minimum),
        Estimator::RawCentreOfMass => centre_of_mass::fit(&source, start_px, Background::None),
        Estimator::Gaussian => gaussian::fit(&source, start_px, Shape::Elliptical),
        Estimator::RoundGaussian => gaussian::fit(&source, start_px, Shape::Round),
        Estimator::CellFit => Err(FitFailure::NeedsFiveColumns),
    }
}

pub(super) fn checked_radius(radius_samples: f64) -> Result<f64, FitFailure> {
    let usable = (1.5..=MAX_RADIUS).contains(&radius_samples);
    if usable { Ok(radius_samples) } else { Err(FitFailure::BadWindow { radius_samples }) }
}

/// How an image's residuals are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noise {
    /// The image has none: residuals are the model's misfit.
    None,
    /// As independent noise only.
    Independent,
    /// As independent noise, and as noise that neighbours share.
    Correlated,
}

/// Where patches come from; lengths in samples unless named.
pub(super) trait Source {
    /// The patch about `centre`, in the image's unit.
    fn cut(&self, centre: [f64; 2]) -> Result<Patch, FitFailure>;
    /// A window closer than this to its column, in samples, need not follow any further.
    fn settled(&self) -> f64;
    /// What uncertainty to draw from the residuals.
    fn noise(&self) -> Noise;
}

/// Windows on pixels.
pub(super) struct PixelSource<'a> {
    pub(super) pixels: &'a Pixels<'a>,
    pub(super) radius: f64,
    pub(super) empirical: bool,
}

impl Source for PixelSource<'_> {
    fn cut(&self, centre: [f64; 2]) -> Result<Patch, FitFailure> {
        self.pixels.cut(centre, self.radius)
    }

    fn settled(&self) -> f64 {
        // Moving a window of whole pixels by less changes few of them.
        0.5
    }

    fn noise(&self) -> Noise {
        if self.empirical { Noise::Correlated } else { Noise::Independent }
    }
}

/// Windows on a Fourier image.
pub(super) struct FourierSource<'a> {
    patches: FourierPatches<'a>,
    radius: f64,
}

impl<'a> FourierSource<'a> {
    pub(super) fn new(image: &'a FourierImage, window: &Window) -> Result<Self, FitFailure> {
        let radius = checked_radius(window.radius_angstrom / window.sample_angstrom)?;
        if window.radius_angstrom.is_nan() || window.radius_angstrom <= 0.0 {
            return Err(FitFailure::BadWindow { radius_samples: radius });
        }
        Ok(Self { patches: FourierPatches::new(image, window.sample_angstrom), radius })
    }
}

impl Source for FourierSource<'_> {
    fn cut(&self, centre: [f64; 2]) -> Result<Patch, FitFailure> {
        if centre.iter().all(|c| c.is_finite()) { self.patches.cut(centre, self.radius) } else { Err(FitFailure::NotFinite) }
    }

    fn settled(&self) -> f64 {
        0.02
    }

    fn noise(&self) -> Noise {
        Noise::None
    }
}

/// Distance of two image positions in samples of a frame.
pub(super) fn distance_samples(frame: &Frame, p: [f64; 2], q: [f64; 2]) -> f64 {
    (p[0] - q[0]).hypot(p[1] - q[1]) / frame.spacing
}

/// Widths in the image's unit from the inverse-width matrix [a, b, c] in the patch's frame (exp(−(a x² + 2 b x y + c y²)/2)).
pub(super) fn widths(frame: &Frame, [a, b, c]: [f64; 3]) -> Widths {
    let mean = 0.5 * (a + c);
    let narrow = mean + (0.5 * (a - c)).hypot(b);
    let wide = (a * c - b * b) / narrow;
    // The eigenvector of the larger inverse width is the shorter axis; the longer stands across.
    let shorter = 0.5 * (2.0 * b).atan2(a - c);
    let longer = frame.vector([-shorter.sin(), shorter.cos()]);
    let angle = (longer[1] / longer[0]).atan();
    Widths {
        sigma_major: frame.spacing / wide.sqrt(),
        sigma_minor: frame.spacing / narrow.sqrt(),
        angle_mrad: 1e3 * if longer[0] == 0.0 { std::f64::consts::FRAC_PI_2 } else { angle },
    }
}

/// Skewness vector of a patch about a local position: third over second moments, each sample weighted by (1 − d²/R²)² so that the
/// window's edge, the pixels it cuts and the neighbours beyond it count little.
pub(super) fn skewness(patch: &Patch, position: [f64; 2], background: f64) -> Option<[f64; 2]> {
    let (mut sum, mut second, mut third) = (0.0, 0.0, [0.0; 2]);
    let reach = patch.radius * patch.radius;
    for (x, y, value) in patch.iter() {
        let d = [x - position[0], y - position[1]];
        let d2 = d[0] * d[0] + d[1] * d[1];
        let taper = (1.0 - d2 / reach).max(0.0);
        let mass = taper * taper * (value - background);
        sum += mass;
        second += mass * d2;
        third[0] += mass * d2 * d[0];
        third[1] += mass * d2 * d[1];
    }
    let scale = (second / sum).powf(1.5) * sum;
    let usable = sum > 0.0 && second > 0.0 && scale.is_finite() && scale > 0.0;
    usable.then(|| patch.frame.vector(third.map(|m| m / scale)))
}
