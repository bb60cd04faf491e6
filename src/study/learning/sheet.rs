//! One image of a learning study with what is known of it: its true field, the columns found in it, its windows divided by the line, and the
//! column fit on the cells of the test side.

use super::super::RunError;
use super::super::windows_table::{LabelName, PlacementName, WindowSettings};
use super::score::{Judged, Score};
use crate::columns::Zone;
use crate::image::Image;
use crate::polarization::{MapOptions, PolarizationMap, polarization_map};
use crate::windows::{Cut, Cutter, Kernel, LabelField, Normalisation, Partition, WindowSet, WindowSize, WindowSpec};

/// An image, its truth and its fit.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) image: Image,
    /// The same image as expected fractions of the beam, for networks that are trained on fresh noise.
    expected: Option<Image>,
    truth: LabelField,
    /// The fitted map, or why there is none.
    fit: Result<PolarizationMap, String>,
}

/// Its windows, and who is who.
#[derive(Debug)]
pub(super) struct Windows {
    pub(super) cut: Cut,
    pub(super) partition: Partition,
    /// True displacement of every window, whatever its label is, pm.
    pub(super) truth_pm: Vec<[f64; 2]>,
}

impl Sheet {
    /// Finds and fits the columns of an image that carries its truth; `expected` is the same image without noise, where that is asked for.
    pub(super) fn new(image: Image, expected: Option<Image>) -> Result<Self, RunError> {
        let truth = LabelField::from_truth(&image)?;
        let options = MapOptions { empirical_covariance: false, ..MapOptions::default() };
        debug_assert_eq!(options.find.zone, Zone::Z100, "scenes are seen along [001]");
        let map = polarization_map(&image.data, image.width, image.height, image.pixel_size_pm, &options);
        let fit = map.map(|(map, _)| map).map_err(|e| e.to_string());
        Ok(Self { image, expected, truth, fit })
    }

    /// Why there is no fit.
    pub(super) fn fit_refusal(&self) -> Option<&str> {
        self.fit.as_ref().err().map(String::as_str)
    }

    /// Cuts the image. `size_px` is the side of the network's windows, where there is a network already.
    pub(super) fn windows(&self, settings: &WindowSettings, size_px: Option<usize>, seed: u64) -> Result<Windows, RunError> {
        let cut = self.cut(&self.image, settings, &spec(settings, size_px))?;
        let partition = settings.split(seed).apply(&cut.set, cut.raster)?;
        let kernel = Kernel { sigma_lattices: settings.label_sigma_lattices };
        let truth_pm = match settings.labels {
            LabelName::Truth => cut.set.labels.iter().map(|l| l.map(f64::from)).collect(),
            LabelName::Fit => self.truth.at(&cut.set.positions_px, kernel, settings.placement == PlacementName::Centred),
        };
        Ok(Windows { cut, partition, truth_pm })
    }

    /// The same windows in the same order as expected fractions of the beam, not normalised; `None` where the sheet has no such image.
    pub(super) fn expected(&self, settings: &WindowSettings, size_px: Option<usize>) -> Result<Option<WindowSet>, RunError> {
        let Some(image) = &self.expected else { return Ok(None) };
        let spec = WindowSpec { normalisation: Normalisation::None, ..spec(settings, size_px) };
        Ok(Some(self.cut(image, settings, &spec)?.set))
    }

    fn cut(&self, image: &Image, settings: &WindowSettings, spec: &WindowSpec) -> Result<Cut, RunError> {
        let kernel = Kernel { sigma_lattices: settings.label_sigma_lattices };
        // Where columns are to be found first, one that is not found has no window.
        let fitted = self.fit.as_ref().ok().map(LabelField::from_map).transpose()?;
        let field = match (settings.placement, settings.labels) {
            (PlacementName::Grid, LabelName::Truth) => self.truth.clone(),
            (PlacementName::Grid | PlacementName::Centred, LabelName::Fit) => fitted.ok_or_else(|| self.no_columns())?,
            (PlacementName::Centred, LabelName::Truth) => fitted.ok_or_else(|| self.no_columns())?.relabelled(&self.truth),
        };
        Ok(Cutter { image, spec, field: Some(&field), mask: None, kernel }.cut()?)
    }

    /// The column fit against the truth, on the cells whose B column lies where the windows test.
    pub(super) fn score_fit(&self, settings: &WindowSettings, size_px: usize, seed: u64) -> Result<Option<Score>, RunError> {
        let Ok(map) = &self.fit else { return Ok(None) };
        let mut spec = settings.spec();
        spec.placement = crate::windows::Placement::Centred;
        spec.size = WindowSize::Pixels(size_px);
        // Every true cell of the test side is asked for; one that the fit lacks counts as missing.
        let cut = crate::windows::cut(&self.image, &spec, Some(&self.truth), None)?;
        let partition = settings.split(seed).apply(&cut.set, cut.raster)?;
        let fitted = LabelField::from_map(map)?.nearest(&cut.set.positions_px);
        let mut judged = Vec::new();
        for &i in &partition.test {
            if let Some(value_pm) = fitted[i] {
                judged.push(Judged { value_pm, sigma_pm: [f64::NAN; 2], truth_pm: cut.set.labels[i].map(f64::from) });
            }
        }
        Ok(Score::of(&judged, partition.test.len() - judged.len()))
    }

    fn no_columns(&self) -> RunError {
        RunError::NoColumns { reason: self.fit_refusal().unwrap_or_default().to_owned() }
    }
}

/// How an image is cut: as the table says, or in windows of the size that a network takes.
fn spec(settings: &WindowSettings, size_px: Option<usize>) -> WindowSpec {
    let spec = settings.spec();
    WindowSpec { size: size_px.map_or(spec.size, WindowSize::Pixels), ..spec }
}
