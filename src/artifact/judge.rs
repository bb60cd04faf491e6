//! From an image and its map to the verdict: regions, their evidence, the tilt, what it fakes, what remains; image axes, pm and mrad.

use super::ArtifactError;
use super::bend::Bend;
use super::bound::{Bound, CommonTilt, distance_square};
use super::doubts::{bend_warning, contradiction, edge_warning};
use super::evidence::{Observed, Scan, find_reference, observe, source_of_width};
use super::library::TiltLibrary;
use super::mean_cell::{Axes, MeanCell};
use super::posterior::{Moments, Posterior, TiltEstimate};
use super::reading::read_cells;
use super::regions::{FEWEST_CELLS, Region, region, regions};
use super::response::ResponseTable;
use super::verdict::{Call, CellVerdict, Options, ReferenceCells, RegionVerdict, Verdict};
use super::witness::{Evidence, Method, Witness};
use crate::columns::{ColumnLattice, Zone};
use crate::polarization::PolarizationMap;

/// 95 % of a normal distribution lie within so many standard deviations, and of two together within this χ².
const TWO_SIDED: f64 = 1.96;
const CHI_SQUARE_2: f64 = 5.991;

/// Crystal and, where the image has such a region, centrosymmetric crystal.
#[derive(Debug, Clone, Copy)]
pub struct Libraries<'a> {
    /// Of the crystal.
    pub film: &'a TiltLibrary,
    /// Of the reference.
    pub reference: Option<&'a TiltLibrary>,
}

/// Everything that follows from crystal, microscope and ruler alone: it serves many images.
#[derive(Debug, Clone)]
pub struct Prepared {
    table: ResponseTable,
    reference: Option<ResponseTable>,
    bound: Bound,
    options: Options,
    source_fwhm_angstrom: [f64; 2],
    edge_angstrom: f64,
}

impl Prepared {
    /// For a range of source sizes, Å.
    pub fn new(libraries: &Libraries<'_>, source_fwhm_angstrom: [f64; 2], options: &Options) -> Result<Self, ArtifactError> {
        if libraries.film.zone() != Zone::Z100 {
            let text = "a verdict needs a crystal cut along ⟨100⟩ pseudocubic, where a B column has four A columns around it";
            return Err(ArtifactError::Setting(text.to_owned()));
        }
        let [low, high] = source_fwhm_angstrom;
        let sources: Vec<f64> = if high > low { vec![low, high] } else { vec![low] };
        let table = ResponseTable::new(libraries.film, &sources, &options.ruler)?;
        let reference = libraries.reference.map(|l| ResponseTable::new(l, &sources, &options.ruler)).transpose()?;
        Ok(Self {
            reference,
            bound: Bound::new(&table, options.beliefs.max_tilt_mrad),
            table,
            options: options.clone(),
            source_fwhm_angstrom,
            edge_angstrom: libraries.film.edge_angstrom(),
        })
    }

    /// The responses of the crystal.
    #[must_use]
    pub fn table(&self) -> &ResponseTable {
        &self.table
    }

    /// Edge of the crystal's perovskite cell, Å.
    #[must_use]
    pub fn edge_angstrom(&self) -> f64 {
        self.edge_angstrom
    }

    /// Judges an image by its map.
    pub fn judge(&self, pixels: &[f32], width: usize, map: &PolarizationMap, columns: &ColumnLattice) -> Result<Verdict, ArtifactError> {
        let scan = scan(pixels, width, map, columns)?;
        same_cell(&scan, self.edge_angstrom)?;
        let (axes, options) = (scan.axes, &self.options);
        let shifts: Vec<[f64; 2]> = map.cells.iter().map(|c| c.shift_px.map(|v| v * 100.0 * axes.pixel_angstrom)).collect();
        let mut warnings = Vec::new();
        let (reference_cells, border) = reference_cells(map, &options.reference);
        let left_out: Vec<bool> = reference_cells.iter().zip(&border).map(|(r, b)| *r || *b).collect();
        let (found, of_cell) = regions(map, &left_out);
        if found.is_empty() {
            let text = format!("no region of {FEWEST_CELLS} cells of like polarization hangs together in this image");
            return Err(ArtifactError::Image(text));
        }
        let inner: Vec<usize> = (0..map.cells.len()).filter(|&n| reference_cells[n] && !border[n]).collect();
        let reference_region = (inner.len() >= FEWEST_CELLS).then(|| region(map, &shifts, inner));
        if options.reference != ReferenceCells::None && reference_region.is_none() {
            let text = "No centrosymmetric region was found: no cells are much darker than the rest, or too few lie in the rectangle.";
            warnings.push(text.to_owned());
        }

        if !self.table.shows_shape() {
            let text = "The columns of the simulated images run into each other so far that single ones cannot be fitted: their shape says nothing \
                        of the tilt.";
            warnings.push(text.to_owned());
        }
        if !self.table.unusable_defocus_nm.is_empty() {
            warnings.push(format!(
                "At a defocus of {:?} nm the columns of the simulated images cannot be measured; the range without it counts.",
                self.table.unusable_defocus_nm
            ));
        }
        let fitted: Vec<&Region> = found.iter().chain(&reference_region).collect();
        let bend = (options.bend_degree > 0).then(|| Bend::fit(map, &shifts, &fitted, options.bend_degree)).flatten();
        warnings.extend(bend_warning(map, &shifts, &found, options.bend_degree, bend.as_ref(), &self.table));
        let bent = |r: &Region| -> [f64; 2] {
            let n = r.cells.len() as f64;
            let all = r.cells.iter().map(|&c| bend.as_ref().map_or([0.0; 2], |b| b.shift_pm(map.cells[c].centre_px)));
            all.fold([0.0; 2], |s, d| [s[0] + d[0] / n, s[1] + d[1] / n])
        };
        let look =
            |r: &Region, table: &ResponseTable| observe(&scan, r, table, &options.ruler, options.beliefs.shape_true_to_mrad, bent(r));
        let observed: Vec<Observed> = found.iter().map(|r| look(r, &self.table)).collect();
        let reference = reference_region.as_ref().zip(self.reference.as_ref()).map(|(r, table)| (table, look(r, table).by_mean_cell()));
        let evidence = Evidence {
            table: &self.table,
            reference,
            witnesses: observed.iter().map(|o| o.witness.clone()).collect(),
            beliefs: options.beliefs,
        };
        let mut posteriors: Vec<Posterior> = Method::ALL.iter().filter_map(|m| evidence.posterior(*m)).collect();
        let Some(together) = posteriors.pop() else {
            return Err(ArtifactError::Image("the image holds no evidence on its tilt".to_owned()));
        };
        warnings.extend(contradiction(&posteriors));
        warnings.extend(edge_warning(&together.estimate, options.beliefs.max_tilt_mrad));

        let judged = found.iter().zip(&observed).enumerate();
        let verdicts: Vec<RegionVerdict> =
            judged.map(|(n, (r, o))| region_verdict(n + 1, r, o, bent(r), &together, &self.bound, axes)).collect();
        let cells = cell_verdicts(map, &shifts, &of_cell, &verdicts, &together, bend.as_ref(), &self.bound, axes);
        let as_regions: Vec<([f64; 2], [f64; 3])> = evidence.witnesses.iter().map(|w| (w.shift_pm, w.covariance_pm2)).collect();
        let common = self.bound.common_tilt(&as_regions);
        Ok(Verdict {
            regions: verdicts,
            cells,
            tilts: posteriors.iter().chain([&together]).map(|p| to_image(&p.estimate, axes)).collect(),
            common_tilt: CommonTilt { tilt_mrad: axes.to_image(common.tilt_mrad), ..common },
            largest_fake_pm: self.bound.largest(),
            max_tilt_mrad: options.beliefs.max_tilt_mrad,
            source_fwhm_angstrom: self.source_fwhm_angstrom,
            reference: reference_region.as_ref().map(|r| (r.cells.len(), r.mean_pm)),
            bend,
            axes,
            warnings,
        })
    }
}

/// Judges one image by its map; the source size is taken from the width of its columns unless the options name a range.
pub fn judge(
    pixels: &[f32],
    width: usize,
    map: &PolarizationMap,
    columns: &ColumnLattice,
    libraries: &Libraries<'_>,
    options: &Options,
) -> Result<Verdict, ArtifactError> {
    let mut warnings = Vec::new();
    let source = source_range(&scan(pixels, width, map, columns)?, libraries.film, options, &mut warnings)?;
    let mut verdict = Prepared::new(libraries, source, options)?.judge(pixels, width, map, columns)?;
    warnings.append(&mut verdict.warnings);
    Ok(Verdict { warnings, ..verdict })
}

/// The image with its axes, where something can be said of it at all.
fn scan<'a>(pixels: &'a [f32], width: usize, map: &'a PolarizationMap, columns: &ColumnLattice) -> Result<Scan<'a>, ArtifactError> {
    let Some(pixel_size_pm) = map.pixel_size_pm else {
        return Err(ArtifactError::Image("the image has no pixel size: without one nothing can be said in picometres".to_owned()));
    };
    if map.zone != Zone::Z100 {
        let text = format!("a verdict needs an image along ⟨100⟩ pseudocubic; this one was read along ⟨{}⟩", map.zone);
        return Err(ArtifactError::Image(text));
    }
    let [e1, _] = columns.basis_px;
    let axes = Axes { rotation_rad: e1[1].atan2(e1[0]), pixel_angstrom: pixel_size_pm / 100.0 };
    Ok(Scan { pixels, width, map, axes })
}

/// Refuses an image whose cells are not as wide as the crystal's: in noise, bright columns alone may pass for both kinds, on a cell √2 as wide.
fn same_cell(scan: &Scan<'_>, edge_angstrom: f64) -> Result<(), ArtifactError> {
    let seen = scan.map.lattice_a_px * scan.axes.pixel_angstrom;
    if (seen / edge_angstrom - 1.0).abs() < 0.25 {
        return Ok(());
    }
    Err(ArtifactError::Image(format!(
        "the cells of the image are {:.0} pm wide and those of the crystal {:.0} pm: check the pixel size and the structure, and whether both kinds of columns rise \
         above the noise",
        100.0 * seen,
        100.0 * edge_angstrom
    )))
}

/// Cells of the reference, and cells on its border with the rest, whose columns belong to both.
fn reference_cells(map: &PolarizationMap, which: &ReferenceCells) -> (Vec<bool>, Vec<bool>) {
    let inside: Vec<bool> = match which {
        ReferenceCells::None => vec![false; map.cells.len()],
        ReferenceCells::Darker => find_reference(map),
        ReferenceCells::Box([x0, y0, x1, y1]) => {
            let within = |v: f64, low: i64, high: i64| v >= low as f64 && v <= high as f64;
            map.cells.iter().map(|c| within(c.centre_px[0], *x0, *x1) && within(c.centre_px[1], *y0, *y1)).collect()
        }
    };
    let by_index: std::collections::BTreeMap<[i32; 2], usize> = map.cells.iter().enumerate().map(|(n, c)| (c.index, n)).collect();
    let border = map
        .cells
        .iter()
        .enumerate()
        .map(|(n, c)| {
            let [i, j] = c.index;
            let mut near = (-1..=1).flat_map(|dj| (-1..=1).map(move |di| [i + di, j + dj])).filter_map(|index| by_index.get(&index));
            near.any(|&m| inside[m] != inside[n])
        })
        .collect();
    (inside, border)
}

/// The source sizes that make the simulated A columns as wide as those of the image, give or take a tenth of an ångström.
fn source_range(scan: &Scan<'_>, film: &TiltLibrary, options: &Options, warnings: &mut Vec<String>) -> Result<[f64; 2], ArtifactError> {
    if let Some(range) = options.source_fwhm_angstrom {
        return Ok(range);
    }
    let all: Vec<usize> = (0..scan.map.cells.len()).collect();
    let mean = MeanCell::new(scan.pixels, scan.width, scan.map, &all, &scan.axes);
    let reading = mean.and_then(|m| read_cells(&m.image, std::slice::from_ref(&m.places), [0.0; 2], &options.ruler).ok());
    let width = reading.map(|r| r.width_pm[0]).filter(|w| w.is_finite());
    let Some(width) = width else {
        warnings.push(
            "The mean cell's columns could not be fitted one by one, as where they are wide and run into each other: the source was taken as 0.7 \
             to 1.1 Å, and the shape of the columns says nothing of the tilt."
                .to_owned(),
        );
        return Ok([0.7, 1.1]);
    };
    if let Some(source) = source_of_width(film, width, &options.ruler)? {
        return Ok([(source - 0.1).max(0.0), source + 0.1]);
    }
    warnings.push(format!(
        "The A columns are {width:.0} pm wide, which no source from 0 to 2 Å gives in the simulated crystal: check pixel size, structure and \
         microscope. A source of 0.8 to 1.2 Å was taken."
    ));
    Ok([0.8, 1.2])
}

fn to_image(estimate: &TiltEstimate, axes: Axes) -> TiltEstimate {
    TiltEstimate {
        mean_mrad: axes.to_image(estimate.mean_mrad),
        covariance_mrad2: covariance_to_image(estimate.covariance_mrad2, axes),
        // Along which axis the evidence tells is a matter of the crystal; close enough while the lattice is upright to 20°.
        ..estimate.clone()
    }
}

fn covariance_to_image(covariance: [f64; 3], axes: Axes) -> [f64; 3] {
    Axes { rotation_rad: -axes.rotation_rad, ..axes }.covariance_to_crystal(covariance)
}

fn moments_to_image(m: Moments, axes: Axes) -> Moments {
    Moments { mean: axes.to_image(m.mean), covariance: covariance_to_image(m.covariance, axes) }
}

/// σ along a direction.
pub(super) fn sigma_along([x, y]: [f64; 2], [xx, xy, yy]: [f64; 3]) -> f64 {
    let length = x.hypot(y).max(f64::MIN_POSITIVE);
    let (u, v) = (x / length, y / length);
    (u * u * xx + 2.0 * u * v * xy + v * v * yy).max(0.0).sqrt()
}

fn region_verdict(
    number: usize,
    region: &Region,
    observed: &Observed,
    bend_pm: [f64; 2],
    together: &Posterior,
    bound: &Bound,
    axes: Axes,
) -> RegionVerdict {
    let witness: &Witness = &observed.witness;
    let (fake, crystal) = together.explain(witness);
    let (fake, mut crystal) = (moments_to_image(fake, axes), moments_to_image(crystal, axes));
    let add = |a: [f64; 3], b: [f64; 3]| [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
    let measured = region.mean_pm;
    let corrected =
        Moments { mean: [0, 1].map(|c| measured[c] - bend_pm[c] - fake.mean[c]), covariance: add(fake.covariance, region.covariance_pm2) };
    crystal.covariance = add(crystal.covariance, region.covariance_pm2);
    let inside = axes.to_crystal(measured);
    let bound_pm = bound.along(inside);
    let length = measured[0].hypot(measured[1]);
    let surely = length - TWO_SIDED * sigma_along(measured, region.covariance_pm2);
    let tells = together.estimate.tells;
    let call = if distance_square(measured, region.covariance_pm2) < CHI_SQUARE_2 {
        Call::Noise
    } else if surely > bound_pm {
        Call::Crystal
    } else if distance_square(corrected.mean, corrected.covariance) > CHI_SQUARE_2 && tells.iter().any(|t| *t) {
        Call::CrystalAfterCorrection
    } else if tells.iter().any(|t| *t) && distance_square(fake.mean, fake.covariance) > CHI_SQUARE_2 {
        Call::MisTilt
    } else {
        Call::Undecided
    };
    RegionVerdict {
        number,
        cells: region.cells.len(),
        centre_px: region.centre_px,
        measured_pm: measured,
        measured_covariance_pm2: region.covariance_pm2,
        bound_pm,
        needed_tilt_mrad: bound.needed_mrad(inside),
        tilt_part_pm: fake,
        corrected_pm: corrected,
        crystal_pm: crystal,
        call,
        reading: observed.reading,
    }
}

#[expect(clippy::too_many_arguments, reason = "a cell's verdict joins the map, its region, the tilt and the bend")]
fn cell_verdicts(
    map: &PolarizationMap,
    shifts: &[[f64; 2]],
    of_cell: &[Option<usize>],
    verdicts: &[RegionVerdict],
    together: &Posterior,
    bend: Option<&Bend>,
    bound: &Bound,
    axes: Axes,
) -> Vec<CellVerdict> {
    let pixel = map.pixel_size_pm.unwrap_or(f64::NAN);
    // A cell of no region, as in a wall or in the reference, is corrected as an unpolarized crystal.
    let slope = together.slope();
    let (mean, c) = (together.estimate.mean_mrad, together.estimate.covariance_mrad2);
    let plain = Moments {
        mean: axes.to_image([0, 1].map(|i| slope[i][0] * mean[0] + slope[i][1] * mean[1])),
        covariance: {
            let form = |u: [f64; 2], v: [f64; 2]| u[0] * v[0] * c[0] + (u[0] * v[1] + u[1] * v[0]) * c[1] + u[1] * v[1] * c[2];
            covariance_to_image([form(slope[0], slope[0]), form(slope[0], slope[1]), form(slope[1], slope[1])], axes)
        },
    };
    map.cells
        .iter()
        .enumerate()
        .map(|(n, cell)| {
            let part = of_cell[n].map_or(plain, |r| verdicts[r].tilt_part_pm);
            let bent = bend.map_or([0.0; 2], |b| b.shift_pm(cell.centre_px));
            let fitted = [cell.covariance_px2[0].sqrt(), cell.covariance_px2[2].sqrt()];
            let noise = [0, 1].map(|k| [fitted[k], cell.scatter_px[k]].into_iter().filter(|s| s.is_finite()).fold(0.0, f64::max) * pixel);
            CellVerdict {
                index: cell.index,
                region: of_cell[n].map_or(0, |r| r + 1),
                measured_pm: shifts[n],
                corrected_pm: [0, 1].map(|k| shifts[n][k] - bent[k] - part.mean[k]),
                corrected_sigma_pm: [0, 1].map(|k| noise[k].hypot(part.covariance[2 * k].max(0.0).sqrt())),
                bound_pm: bound.along(axes.to_crystal(shifts[n])),
            }
        })
        .collect()
}
