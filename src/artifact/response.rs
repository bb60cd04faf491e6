//! The response table: every reading as a polynomial of the tilt, over thickness, defocus and source size, and between them by interpolation.

use super::ArtifactError;
use super::cubic::{Cubic, Design, TERMS, terms};
use super::library::TiltLibrary;
use super::reading::{COMPONENTS, Reading, Ruler, read_cells};
use super::regions::student;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Channelling makes most of an ADF signal in the first few nanometres: columns of a tilted crystal are found near their place there, Å.
const SIGNAL_DEPTH_ANGSTROM: f64 = 60.0;

/// An axis of the simulated crystal with less than this is taken as unpolarized, pm.
pub(super) const POLAR_PM: f64 = 3.0;

/// Thickness, defocus and source size of one image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Thickness, nm.
    pub thickness_nm: f64,
    /// Defocus, nm.
    pub defocus_nm: f64,
    /// Effective source, full width at half maximum, Å.
    pub source_fwhm_angstrom: f64,
}

/// The readings of one thickness, defocus and source size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// One polynomial a component.
    pub(super) components: Vec<Cubic>,
    /// Root mean square misfit of the polynomial, one a component.
    pub(super) misfit: Vec<f64>,
    /// The polynomials without each group of phonon configurations in turn; empty where none were asked for.
    pub(super) without: Vec<Vec<Cubic>>,
}

impl Node {
    /// Reads one setting of a library. `jackknife` works out the sampling error too, at a multiple of the cost.
    pub fn read(
        library: &TiltLibrary,
        [thickness, defocus]: [usize; 2],
        source_fwhm_angstrom: f64,
        ruler: &Ruler,
        jackknife: bool,
    ) -> Result<Self, ArtifactError> {
        let design = Design::new(&library.header.tilts_mrad)
            .ok_or_else(|| ArtifactError::Damaged("its tilts do not determine a polynomial".to_owned()))?;
        let groups = if jackknife && library.groups() > 1 { library.groups() } else { 0 };
        let readings = |without: Option<usize>| -> Result<Vec<[f64; COMPONENTS]>, ArtifactError> {
            let tilts = 0..library.header.tilts_mrad.len();
            tilts.into_par_iter().map(|tilt| read(library, [tilt, thickness, defocus], without, source_fwhm_angstrom, ruler)).collect()
        };
        let all = readings(None)?;
        let fit = |readings: &[[f64; COMPONENTS]]| -> Vec<Cubic> {
            (0..COMPONENTS).map(|k| design.fit(&readings.iter().map(|r| r[k]).collect::<Vec<_>>())).collect()
        };
        let components = fit(&all);
        let misfit = components
            .iter()
            .enumerate()
            .map(|(k, cubic)| design.residual_rms(cubic, &all.iter().map(|r| r[k]).collect::<Vec<_>>()))
            .collect();
        let without = (0..groups).map(|g| readings(Some(g)).map(|r| fit(&r))).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { components, misfit, without })
    }

    /// Sampling error of a linear function of a component's coefficients, by the jackknife over groups; NaN without groups.
    #[must_use]
    pub(super) fn sampling_sigma(&self, component: usize, of: &dyn Fn(&Cubic) -> f64) -> f64 {
        jackknife(&self.without.iter().map(|w| of(&w[component])).collect::<Vec<_>>())
    }
}

/// Standard error from values each of which leaves one group out (Quenouille 1956); NaN for fewer than two.
pub(super) fn jackknife(left_out: &[f64]) -> f64 {
    let n = left_out.len() as f64;
    if n < 2.0 {
        return f64::NAN;
    }
    let centre = left_out.iter().sum::<f64>() / n;
    ((n - 1.0) / n * left_out.iter().map(|v| (v - centre).powi(2)).sum::<f64>()).sqrt()
}

/// How far a tilt moves the columns of an image, roughly, Å.
pub(super) fn near_angstrom(thickness_nm: f64, tilt_mrad: [f64; 2]) -> [f64; 2] {
    let depth = 0.5 * (10.0 * thickness_nm).min(SIGNAL_DEPTH_ANGSTROM);
    tilt_mrad.map(|t| 1e-3 * t * depth)
}

fn read(
    library: &TiltLibrary,
    [tilt, thickness, defocus]: [usize; 3],
    without: Option<usize>,
    source_fwhm_angstrom: f64,
    ruler: &Ruler,
) -> Result<[f64; COMPONENTS], ArtifactError> {
    let header = &library.header;
    let (image, cell) = library.mean_cell([tilt, thickness, defocus], without, source_fwhm_angstrom);
    let (thickness_nm, tilt_mrad) = (header.thickness_nm[thickness], header.tilts_mrad[tilt]);
    let near = near_angstrom(thickness_nm, tilt_mrad);
    let failed = |source| ArtifactError::Column { thickness_nm, x: tilt_mrad[0], y: tilt_mrad[1], source };
    read_cells(&image, std::slice::from_ref(&cell), near, ruler).map(Reading::to_list).map_err(failed)
}

/// Readings over a grid of thickness, defocus and source size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResponseTable {
    /// The shift that every image of the crystal should show, pm.
    pub true_shift_pm: [f64; 2],
    /// Thicknesses, nm.
    pub thickness_nm: Vec<f64>,
    /// Defoci, nm.
    pub defocus_nm: Vec<f64>,
    /// Defoci of the library at which the columns of the simulated images cannot be measured, nm.
    pub unusable_defocus_nm: Vec<f64>,
    /// Source sizes, Å.
    pub source_fwhm_angstrom: Vec<f64>,
    /// Largest tilt the polynomials were fitted to, mrad.
    pub tilt_mrad: f64,
    /// `[thickness][defocus][source]`, flat.
    nodes: Vec<Node>,
}

/// Readings of one setting, ready to be evaluated at any tilt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Response {
    pub(super) components: [Cubic; COMPONENTS],
}

impl ResponseTable {
    /// Reads a whole library at the given source sizes (ascending), the sampling error at its middle setting only.
    pub fn new(library: &TiltLibrary, source_fwhm_angstrom: &[f64], ruler: &Ruler) -> Result<Self, ArtifactError> {
        let rising = !source_fwhm_angstrom.is_empty() && source_fwhm_angstrom.windows(2).all(|w| w[0] < w[1]);
        if !rising || source_fwhm_angstrom.iter().any(|s| !(0.0..=5.0).contains(s)) {
            let text = format!("source sizes must rise and lie from 0 to 5 Å; these are {source_fwhm_angstrom:?}");
            return Err(ArtifactError::Setting(text));
        }
        let header = &library.header;
        let [nt, nf, ns] = [header.thickness_nm.len(), header.conditions.defocus_nm.len(), source_fwhm_angstrom.len()];
        let middle = ((nt / 2) * nf + nf / 2) * ns + ns / 2;
        let nodes: Vec<Result<Node, ArtifactError>> = (0..nt * nf * ns)
            .into_par_iter()
            .map(|i| Node::read(library, [i / (nf * ns), i / ns % nf], source_fwhm_angstrom[i % ns], ruler, i == middle))
            .collect();
        // Far out of focus the darker columns have no maximum of their own: an image in which columns were measured was not taken there.
        let focus_of = |i: usize| i / ns % nf;
        let usable: Vec<bool> = (0..nf).map(|f| nodes.iter().enumerate().all(|(i, n)| focus_of(i) != f || n.is_ok())).collect();
        let of = |wanted: bool| (0..nf).filter(|&f| usable[f] == wanted).map(|f| header.conditions.defocus_nm[f]).collect::<Vec<f64>>();
        let (defocus_nm, unusable_defocus_nm) = (of(true), of(false));
        if defocus_nm.is_empty() {
            // No focus is usable, so that some node failed.
            return Err(nodes
                .into_iter()
                .find_map(Result::err)
                .unwrap_or_else(|| ArtifactError::Setting("no defocus is given".to_owned())));
        }
        let nodes = nodes.into_iter().enumerate().filter(|(i, _)| usable[focus_of(*i)]).filter_map(|(_, n)| n.ok()).collect();
        Ok(Self {
            true_shift_pm: library.true_shift_pm(),
            thickness_nm: header.thickness_nm.clone(),
            defocus_nm,
            unusable_defocus_nm,
            source_fwhm_angstrom: source_fwhm_angstrom.to_vec(),
            tilt_mrad: header.conditions.tilt_mrad,
            nodes,
        })
    }

    /// Middle of the table.
    #[must_use]
    pub fn middle(&self) -> Setting {
        let mid = |list: &[f64]| 0.5 * (list[0] + list[list.len() - 1]);
        Setting {
            thickness_nm: mid(&self.thickness_nm),
            defocus_nm: mid(&self.defocus_nm),
            source_fwhm_angstrom: mid(&self.source_fwhm_angstrom),
        }
    }

    /// Setting at three fractions (0 to 1) of the table's ranges.
    #[must_use]
    pub fn setting(&self, fractions: [f64; 3]) -> Setting {
        let at = |list: &[f64], f: f64| list[0] + f * (list[list.len() - 1] - list[0]);
        Setting {
            thickness_nm: at(&self.thickness_nm, fractions[0]),
            defocus_nm: at(&self.defocus_nm, fractions[1]),
            source_fwhm_angstrom: at(&self.source_fwhm_angstrom, fractions[2]),
        }
    }

    /// The response at a setting: cubic between the table's thicknesses, over which channelling makes it swing, linear between its defoci and
    /// sources; outside the table its edge counts.
    #[must_use]
    pub fn at(&self, setting: &Setting) -> Response {
        let (nf, ns) = (self.defocus_nm.len(), self.source_fwhm_angstrom.len());
        let mut components = [Cubic::default(); COMPONENTS];
        for (t, wt) in smooth(&self.thickness_nm, setting.thickness_nm) {
            for (f, wf) in bracket(&self.defocus_nm, setting.defocus_nm) {
                for (s, ws) in bracket(&self.source_fwhm_angstrom, setting.source_fwhm_angstrom) {
                    let weight = wt * wf * ws;
                    if weight != 0.0 {
                        let node = &self.nodes[(t * nf + f) * ns + s];
                        components.iter_mut().zip(&node.components).for_each(|(sum, c)| sum.add_scaled(c, weight));
                    }
                }
            }
        }
        Response { components }
    }

    /// Whether the shape of the columns could be read at every setting.
    #[must_use]
    pub(super) fn shows_shape(&self) -> bool {
        self.nodes.iter().all(|n| n.components.iter().all(|c| c.0.iter().all(|v| v.is_finite())))
    }

    /// Standard error of a component from the sampling of phonons, wider for the few groups that tell it: root mean square over tilts of the value
    /// or, `from_zero`, of what the tilt adds to it.
    fn sampled(&self, component: usize, from_zero: bool) -> f64 {
        let tilts = [[0.5, 0.0], [0.0, 0.5], [-0.5, -0.5]].map(|t: [f64; 2]| t.map(|v| v * self.tilt_mrad));
        let Some(node) = self.nodes.iter().find(|n| !n.without.is_empty()) else { return 0.0 };
        let one = |t: [f64; 2]| node.sampling_sigma(component, &|c| c.value(t) - if from_zero { c.0[0] } else { 0.0 }).powi(2);
        student(node.without.len() as f64 - 1.0) * (tilts.iter().map(|t| one(*t)).sum::<f64>() / tilts.len() as f64).sqrt()
    }

    fn misfit(&self, component: usize) -> f64 {
        (self.nodes.iter().map(|n| n.misfit[component].powi(2)).sum::<f64>() / self.nodes.len() as f64).sqrt()
    }

    /// How far a component of the readings is known, from the sampling of phonons and the misfit of the polynomials.
    #[must_use]
    pub(super) fn sigma(&self, component: usize) -> f64 {
        self.sampled(component, false).hypot(self.misfit(component))
    }

    /// How far the part that a tilt adds to a component is known.
    #[must_use]
    pub(super) fn tilt_sigma(&self, component: usize) -> f64 {
        self.sampled(component, true).hypot(self.misfit(component))
    }

    /// The share of it that a component has for itself, beside [`ResponseTable::modes`].
    #[must_use]
    pub(super) fn own_sigma(&self, component: usize) -> f64 {
        (SHARED.sqrt() * self.sampled(component, false)).hypot(self.misfit(component))
    }

    /// The ways in which the sampling of phonons may have moved all readings at once, each with unit probability: half of that variance, for a few
    /// groups span few of the ways there are (a covariance shrunk toward its diagonal: Ledoit and Wolf, J. Multivar. Anal. 88 (2004) 365).
    #[must_use]
    pub(super) fn modes(&self) -> Vec<Response> {
        let Some(node) = self.nodes.iter().find(|n| !n.without.is_empty()) else { return Vec::new() };
        let n = node.without.len() as f64;
        let scale = student(n - 1.0) * (SHARED * (n - 1.0) / n).sqrt();
        let mut mean = [Cubic::default(); COMPONENTS];
        for without in &node.without {
            mean.iter_mut().zip(without).for_each(|(m, c)| m.add_scaled(c, 1.0 / n));
        }
        let mode = |without: &Vec<Cubic>| {
            let mut components = [Cubic::default(); COMPONENTS];
            for ((out, c), m) in components.iter_mut().zip(without).zip(&mean) {
                out.add_scaled(c, scale);
                out.add_scaled(m, -scale);
            }
            Response { components }
        };
        node.without.iter().map(mode).collect()
    }
}

/// The part of the phonons' sampling variance that is taken as shared by all readings.
const SHARED: f64 = 0.5;

impl Response {
    /// The same crystal with its polarization times `amplitude` (x, y), from −1 to 1.
    #[must_use]
    pub fn of_domain(&self, amplitude: [f64; 2]) -> Self {
        let mut out = *self;
        for (k, component) in out.components.iter_mut().enumerate() {
            *component = component.of_domain(amplitude, Reading::parity(k));
        }
        out
    }

    /// By how much a sign of tilt changes with the measured shift along its axis when the polarization changes; 0 without polarization.
    #[must_use]
    pub(super) fn per_shift(&self, sign: usize) -> f64 {
        let shift = self.components[sign % 2].0[0];
        if shift.abs() > POLAR_PM { self.components[2 + sign].0[0] / shift } else { 0.0 }
    }

    /// Shift (x, y) that is measured at a tilt, pm.
    #[must_use]
    pub fn shift_pm(&self, tilt_mrad: [f64; 2]) -> [f64; 2] {
        let terms = terms(tilt_mrad);
        [self.components[0].dot(&terms), self.components[1].dot(&terms)]
    }

    /// Shift (x, y) that the tilt alone adds, pm: zero without tilt.
    #[must_use]
    pub fn fake_pm(&self, tilt_mrad: [f64; 2]) -> [f64; 2] {
        self.fake_of(&terms(tilt_mrad))
    }

    pub(super) fn fake_of(&self, terms: &[f64; TERMS]) -> [f64; 2] {
        [self.components[0].dot(terms) - self.components[0].0[0], self.components[1].dot(terms) - self.components[1].0[0]]
    }

    /// ∂P/∂θ at a tilt, pm/mrad: rows P, columns θ.
    #[must_use]
    pub fn slope_at(&self, [x, y]: [f64; 2]) -> [[f64; 2]; 2] {
        const STEP: f64 = 1e-3;
        let ahead = |dx: f64, dy: f64| self.fake_pm([x + dx, y + dy]);
        let (px, mx, py, my) = (ahead(STEP, 0.0), ahead(-STEP, 0.0), ahead(0.0, STEP), ahead(0.0, -STEP));
        [0, 1].map(|i| [(px[i] - mx[i]) / (2.0 * STEP), (py[i] - my[i]) / (2.0 * STEP)])
    }
}

/// The four values about one in a rising list with the weights of the cubic through them, fewer and of lower degree where the list is shorter.
fn smooth(list: &[f64], value: f64) -> Vec<(usize, f64)> {
    let value = value.clamp(list[0], list[list.len() - 1]);
    let upper = list.partition_point(|v| *v < value);
    let from = upper.saturating_sub(2).min(list.len().saturating_sub(4));
    let used = from..(from + 4).min(list.len());
    // Lagrange's polynomial.
    let weight = |i: usize| used.clone().filter(|&j| j != i).map(|j| (value - list[j]) / (list[i] - list[j])).product::<f64>();
    used.clone().map(|i| (i, weight(i))).collect()
}

/// The two neighbours of a value in a rising list, with their weights.
fn bracket(list: &[f64], value: f64) -> [(usize, f64); 2] {
    let upper = list.partition_point(|v| *v < value).clamp(1, (list.len() - 1).max(1)).min(list.len() - 1);
    let lower = upper.saturating_sub(1);
    if upper == lower {
        return [(lower, 1.0), (upper, 0.0)];
    }
    let fraction = ((value - list[lower]) / (list[upper] - list[lower])).clamp(0.0, 1.0);
    [(lower, 1.0 - fraction), (upper, fraction)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_between_grid_points_are_weighted_and_beyond_them_held() {
        assert_eq!(bracket(&[10.0, 20.0, 40.0], 25.0), [(1, 0.75), (2, 0.25)]);
        assert_eq!(bracket(&[10.0, 20.0, 40.0], 5.0), [(0, 1.0), (1, 0.0)]);
        assert_eq!(bracket(&[10.0, 20.0, 40.0], 50.0), [(1, 0.0), (2, 1.0)]);
        assert_eq!(bracket(&[10.0], 50.0), [(0, 1.0), (0, 0.0)]);
    }

    #[test]
    fn a_cubic_of_the_thickness_is_followed_between_thicknesses_and_held_beyond_them() {
        let list = [10.0, 12.5, 15.0, 18.0, 20.0];
        let cubic = |x: f64| 1.0 - 2.0 * x + 0.3 * x * x - 0.01 * x * x * x;
        for x in [10.0, 10.7, 13.0, 15.0, 19.9, 20.0] {
            let found: f64 = smooth(&list, x).iter().map(|(i, w)| w * cubic(list[*i])).sum();
            assert!((found - cubic(x)).abs() < 1e-9, "{x}");
        }
        assert!((smooth(&list, 30.0).iter().map(|(i, w)| w * list[*i]).sum::<f64>() - 20.0).abs() < 1e-12);
        assert_eq!((smooth(&[10.0], 3.0), smooth(&[10.0, 20.0], 12.5)), (vec![(0, 1.0)], vec![(0, 0.75), (1, 0.25)]));
    }
}
