//! A trial of the verdict: images whose truth is known are made, measured and judged; Å, pm and mrad.

use super::judge::Prepared;
use super::mosaic::{Mosaic, Pattern, Stand};
use super::reading::{Ruler, read_shift};
use super::regions::region;
use super::verdict::Call;
use super::witness::Method;
use super::{ArtifactError, TiltLibrary, Verdict};
use crate::columns::FindOptions;
use crate::detection::{Camera, FrameKey};
use crate::image::{Image, Raster};
use crate::polarization::{MapOptions, PolarizationMap, polarization_map};
use serde::{Deserialize, Serialize};

/// Regions smaller than this are crumbs at walls and count for nothing.
const FEWEST_CELLS: usize = 20;

/// One image to be made.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// What it shows.
    pub pattern: Pattern,
    /// The crystal as it truly is: the unpolarized one for [`Pattern::Unpolarized`].
    pub film: &'a TiltLibrary,
    /// The substrate as it truly is.
    pub substrate: &'a TiltLibrary,
    /// Number of the thickness.
    pub thickness: usize,
    /// Tilt and bend.
    pub stand: Stand,
    /// Cells along an edge.
    pub cells: usize,
    /// Pixel, pm.
    pub pixel_pm: f64,
    /// The camera: source, scan and dose.
    pub camera: &'a Camera,
    /// Its source, Å.
    pub source_fwhm_angstrom: f64,
    /// How the shift is read.
    pub ruler: &'a Ruler,
    /// Electrons an Å² that it takes.
    pub dose: f64,
    /// Which frame.
    pub key: FrameKey,
}

/// A tilt estimate beside the truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TiltOutcome {
    /// Evidence.
    pub method: Method,
    /// Estimate, mrad.
    pub mean_mrad: [f64; 2],
    /// Its standard deviation, mrad.
    pub sigma_mrad: [f64; 2],
    /// Whether it claims to know more than the allowed range.
    pub tells: [bool; 2],
}

/// A region beside the truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RegionOutcome {
    /// Cells.
    pub cells: usize,
    /// True shift, pm.
    pub true_pm: [f64; 2],
    /// What the same region shows without tilt, noise and jitter, pm: what a correction of the tilt should lead to.
    pub upright_pm: [f64; 2],
    /// As measured, pm.
    pub measured_pm: [f64; 2],
    /// Standard deviation of that from noise, pm.
    pub sigma_pm: [f64; 2],
    /// Measured less the mean over the image, pm: the public remedy.
    pub less_mean_pm: [f64; 2],
    /// Without the tilt part, pm.
    pub corrected_pm: [f64; 2],
    /// Its standard deviation, pm.
    pub corrected_sigma_pm: [f64; 2],
    /// Without the estimator's gain too, pm.
    pub crystal_pm: [f64; 2],
    /// Its standard deviation, pm.
    pub crystal_sigma_pm: [f64; 2],
    /// The verdict.
    pub call: Call,
    /// What networks say.
    pub networks: [Option<NetworkOutcome>; 2],
}

/// What a network says of a region.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NetworkOutcome {
    /// Mean over its windows, pm.
    pub mean_pm: [f64; 2],
    /// Standard deviation of that from their scatter, pm.
    pub sigma_pm: [f64; 2],
}

/// What came of one image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it was made.
    pub made: Made,
    /// What it showed.
    pub pattern: Pattern,
    /// Electrons an Å².
    pub dose: f64,
    /// True tilt in the middle of the field, mrad.
    pub tilt_mrad: [f64; 2],
    /// True thickness, nm, and source, Å.
    pub thickness_nm: f64,
    /// Source, Å.
    pub source_fwhm_angstrom: f64,
    /// Tilt by each kind of evidence.
    pub tilts: Vec<TiltOutcome>,
    /// Regions of `FEWEST_CELLS` cells and more.
    pub regions: Vec<RegionOutcome>,
    /// Whether no single tilt explains all regions as unpolarized.
    pub one_tilt_excluded: bool,
}

/// Makes one image.
pub fn expose(scene: &Scene<'_>) -> Result<Image, ArtifactError> {
    let mosaic = Mosaic::new(scene.pattern, [scene.film, scene.substrate], scene.thickness, scene.stand, scene.cells)
        .ok_or_else(|| ArtifactError::Damaged("its tilts do not determine a polynomial".to_owned()))?;
    let raster = Raster::square([0.0; 2], mosaic.side_angstrom(), 0.01 * scene.pixel_pm);
    Ok(scene.camera.expose(&mosaic, raster, scene.key).map_err(|e| ArtifactError::Setting(e.to_string()))?.image)
}

/// How an image was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Made {
    /// Domains of one simulated crystal side by side ([`Mosaic`]).
    Tiles,
    /// A scene put together from responses of single columns.
    SceneLibrary,
    /// A scene by multislice of all its atoms.
    SceneMultislice,
}

impl Made {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tiles => "tiles",
            Self::SceneLibrary => "scene by library",
            Self::SceneMultislice => "scene by multislice",
        }
    }
}

/// What is known of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// How it was made.
    pub made: Made,
    /// What it shows.
    pub pattern: Pattern,
    /// True shift of the crystal, which the pattern mirrors, pm.
    pub true_pm: [f64; 2],
    /// What it shows upright, without noise, pm.
    pub upright_pm: [f64; 2],
    /// Electrons an Å².
    pub dose: f64,
    /// Tilt in the middle, mrad.
    pub tilt_mrad: [f64; 2],
    /// Thickness, nm.
    pub thickness_nm: f64,
    /// Source, Å.
    pub source_fwhm_angstrom: f64,
}

/// Other ways to read the polarization of every cell of a map, pm, two at most; NaN for a cell of which they say nothing.
pub type Networks<'a> = dyn Fn(&Image, &PolarizationMap) -> Result<Vec<Vec<[f64; 2]>>, ArtifactError> + Sync + 'a;

/// What is known of the image of a scene.
pub fn known(scene: &Scene<'_>) -> Result<Known, ArtifactError> {
    let (image, cell) = scene.film.mean_cell([0, scene.thickness, 0], None, scene.source_fwhm_angstrom);
    let thickness_nm = scene.film.header.thickness_nm[scene.thickness];
    let failed = |source| ArtifactError::Column { thickness_nm, x: 0.0, y: 0.0, source };
    Ok(Known {
        made: Made::Tiles,
        pattern: scene.pattern,
        true_pm: scene.film.true_shift_pm(),
        upright_pm: read_shift(&image, &cell, [0.0; 2], scene.ruler).map_err(failed)?,
        dose: scene.dose,
        tilt_mrad: scene.stand.tilt_mrad,
        thickness_nm,
        source_fwhm_angstrom: scene.source_fwhm_angstrom,
    })
}

/// Measures and judges an image.
pub fn outcome(frame: &Image, known: &Known, prepared: &Prepared, networks: Option<&Networks<'_>>) -> Result<Outcome, ArtifactError> {
    let (map, verdict) = judged(frame, prepared)?;
    let others = networks.map_or_else(|| Ok(Vec::new()), |n| n(frame, &map))?;
    let n = verdict.cells.len() as f64;
    let mean = verdict.cells.iter().fold([0.0; 2], |s, c| [s[0] + c.measured_pm[0] / n, s[1] + c.measured_pm[1] / n]);
    let sigma = |c: [f64; 3]| [c[0].max(0.0).sqrt(), c[2].max(0.0).sqrt()];
    let one = |r: &super::RegionVerdict| {
        // A region found in what is truly the substrate has no polarization.
        let mirror = known.pattern.mirror([r.centre_px[0] / frame.width as f64, r.centre_px[1] / frame.height as f64]).unwrap_or([0.0; 2]);
        let by_network = |other: &Vec<[f64; 2]>| {
            let of_region = |c: &usize| verdict.cells[*c].region == r.number && other[*c].iter().all(|v| v.is_finite());
            let cells: Vec<usize> = (0..verdict.cells.len()).filter(of_region).collect();
            (cells.len() >= FEWEST_CELLS / 2).then(|| {
                let region = region(&map, other, cells);
                NetworkOutcome { mean_pm: region.mean_pm, sigma_pm: sigma(region.covariance_pm2) }
            })
        };
        RegionOutcome {
            cells: r.cells,
            true_pm: [mirror[0] * known.true_pm[0], mirror[1] * known.true_pm[1]],
            upright_pm: [mirror[0] * known.upright_pm[0], mirror[1] * known.upright_pm[1]],
            measured_pm: r.measured_pm,
            sigma_pm: sigma(r.measured_covariance_pm2),
            less_mean_pm: [r.measured_pm[0] - mean[0], r.measured_pm[1] - mean[1]],
            corrected_pm: r.corrected_pm.mean,
            corrected_sigma_pm: sigma(r.corrected_pm.covariance),
            crystal_pm: r.crystal_pm.mean,
            crystal_sigma_pm: sigma(r.crystal_pm.covariance),
            call: r.call,
            networks: [0, 1].map(|k| others.get(k).and_then(by_network)),
        }
    };
    Ok(Outcome {
        made: known.made,
        pattern: known.pattern,
        dose: known.dose,
        tilt_mrad: known.tilt_mrad,
        thickness_nm: known.thickness_nm,
        source_fwhm_angstrom: known.source_fwhm_angstrom,
        tilts: verdict
            .tilts
            .iter()
            .map(|t| TiltOutcome { method: t.method, mean_mrad: t.mean_mrad, sigma_mrad: t.sigma_mrad(), tells: t.tells })
            .collect(),
        regions: verdict.regions.iter().filter(|r| r.cells >= FEWEST_CELLS).map(one).collect(),
        one_tilt_excluded: verdict.common_tilt.is_excluded(),
    })
}

fn judged(frame: &Image, prepared: &Prepared) -> Result<(PolarizationMap, Verdict), ArtifactError> {
    let pixel_size_pm = frame.square_pixel_size_pm().map_err(|e| ArtifactError::Image(e.to_string()))?;
    // The cell of the crystal is known: of dim B columns that drown in noise no second lattice is made.
    let find = FindOptions { lattice_a_px: Some(100.0 * prepared.edge_angstrom() / pixel_size_pm), ..FindOptions::default() };
    let options = MapOptions { find, empirical_covariance: false, ..MapOptions::default() };
    let (map, columns) = polarization_map(&frame.data, frame.width, frame.height, Some(pixel_size_pm), &options)?;
    let verdict = prepared.judge(&frame.data, frame.width, &map, &columns)?;
    Ok((map, verdict))
}

/// Makes one image, measures and judges it.
pub fn run(scene: &Scene<'_>, prepared: &Prepared, networks: Option<&Networks<'_>>) -> Result<Outcome, ArtifactError> {
    outcome(&expose(scene)?, &known(scene)?, prepared, networks)
}

/// What came of the image of a bent foil whose bend was fitted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BentOutcome {
    /// What it showed.
    pub pattern: Pattern,
    /// Electrons an Å².
    pub dose: f64,
    /// Tilt in the middle and what is added to it at the right edge, mrad.
    pub stand: Stand,
    /// How strongly the bend is in the image, 2 ln(odds); above 10 is very strong.
    pub evidence: f64,
    /// Cells of regions.
    pub cells: usize,
    /// Root mean square of the slow change that tilt makes of the cells' shift about its mean, a component, as it truly is, pm.
    pub true_change_pm: f64,
    /// The same of what the fit leaves of it, pm.
    pub left_change_pm: f64,
}

/// Makes one image of a bent foil, and says how much of what the bend adds to the shift is taken out by its fit.
pub fn run_bent(scene: &Scene<'_>, prepared: &Prepared) -> Result<BentOutcome, ArtifactError> {
    let frame = expose(scene)?;
    let (map, verdict) = judged(&frame, prepared)?;
    let table = super::ResponseTable::new(scene.film, &[scene.source_fwhm_angstrom.max(0.05)], scene.ruler)?;
    let response = table.at(&super::Setting { thickness_nm: scene.film.header.thickness_nm[scene.thickness], ..table.middle() });
    let Some(bend) = &verdict.bend else {
        return Err(ArtifactError::Image("the image has too few cells to fit a bent foil".to_owned()));
    };
    let (mut truth, mut left) = (Vec::new(), Vec::new());
    for (cell, judged) in map.cells.iter().zip(&verdict.cells).filter(|(_, c)| c.region > 0) {
        let place = [cell.centre_px[0] / frame.width as f64, cell.centre_px[1] / frame.height as f64];
        let Some(mirror) = scene.pattern.mirror(place) else { continue };
        let domain = response.of_domain(mirror);
        let [here, middle] = [scene.stand.at(place[0]), scene.stand.tilt_mrad].map(|t| domain.shift_pm(t));
        let change = [0, 1].map(|c| here[c] - middle[c]);
        let fitted = bend.shift_pm(cell.centre_px);
        truth.push((judged.region, change));
        left.push((judged.region, [0, 1].map(|c| change[c] - fitted[c])));
    }
    Ok(BentOutcome {
        pattern: scene.pattern,
        dose: scene.dose,
        stand: scene.stand,
        evidence: bend.evidence,
        cells: truth.len(),
        true_change_pm: spread_within(&truth),
        left_change_pm: spread_within(&left),
    })
}

/// Root mean square of a component about the mean of its region.
fn spread_within(values: &[(usize, [f64; 2])]) -> f64 {
    let mut sums: std::collections::BTreeMap<usize, ([f64; 2], f64)> = std::collections::BTreeMap::new();
    for (region, v) in values {
        let sum = sums.entry(*region).or_default();
        *sum = ([sum.0[0] + v[0], sum.0[1] + v[1]], sum.1 + 1.0);
    }
    let square = |(region, v): &(usize, [f64; 2])| {
        let (sum, n) = sums[region];
        (0..2).map(|c| (v[c] - sum[c] / n).powi(2)).sum::<f64>()
    };
    (values.iter().map(square).sum::<f64>() / (2 * values.len()).max(1) as f64).sqrt()
}
