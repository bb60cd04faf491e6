//! Electron scattering factors f_e(k) in Å (k = 1/d in 1/Å) and the projected potential of one neutral atom in V Å.
//!
//! Lobato & Van Dyck, Acta Cryst. A 70 (2014) 636 (default) and Kirkland, Advanced Computing in Electron Microscopy, 2nd ed. (2010),
//! appendix C. The tables are the files `data/lobato_vandyck_2014.csv` and `data/kirkland_2010.csv`.

use crate::crystal::Element;
use std::f64::consts::PI;
use std::sync::OnceLock;

/// V_proj(k) = this · f_e(k): h²/(2π m e) in V Å², so that f_e in Å gives V Å³ in k-space.
pub const PROJECTED_VOLT_ANGSTROM2: f64 = 47.877_65;

/// A published parametrisation of the scattering factors of neutral atoms, Z = 1 to 103.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Factors {
    /// Five terms with the correct asymptotes (Lobato & Van Dyck 2014).
    #[default]
    Lobato,
    /// Three Lorentzians and three Gaussians (Kirkland 2010).
    Kirkland,
}

/// Parameters of one element: (a_i, b_i) five times for Lobato; (a_i, b_i) then (c_i, d_i) three times each for Kirkland.
type Terms = Vec<[f64; 2]>;

impl Factors {
    /// f_e(k) in Å at k in 1/Å.
    ///
    /// Lobato: Σ a (2 + b k²)/(1 + b k²)². Kirkland: Σ a/(k² + b) + Σ c exp(−d k²).
    #[must_use]
    pub fn scattering_factor_angstrom(self, element: Element, k: f64) -> f64 {
        let (terms, k2) = (self.terms(element), k * k);
        match self {
            Self::Lobato => terms.iter().map(|[a, b]| a * (2.0 + b * k2) / (1.0 + b * k2).powi(2)).sum(),
            Self::Kirkland => {
                let lorentz: f64 = terms[..3].iter().map(|[a, b]| a / (k2 + b)).sum();
                lorentz + terms[3..].iter().map(|[c, d]| c * (-d * k2).exp()).sum::<f64>()
            }
        }
    }

    /// Projected potential in V Å at the distance `r_angstrom` > 0 from the atom: the two-dimensional Fourier transform of f_e in closed form.
    ///
    /// ∫ 2πk J₀(2πkr)/(k² + z²) dk = 2π K₀(2πrz) and ∫ 2πk J₀(2πkr)/(k² + z²)² dk = (2π² r/z) K₁(2πrz).
    #[must_use]
    pub fn projected_potential_volt_angstrom(self, element: Element, r_angstrom: f64) -> f64 {
        let terms = self.terms(element);
        let bessel = |order: u32, x: f64| puruspe::bessel::Kn(order, x);
        let sum: f64 = match self {
            Self::Lobato => {
                let term = |[a, b]: &[f64; 2]| {
                    let x = 2.0 * PI * r_angstrom / b.sqrt();
                    a * 2.0 * PI / b * (bessel(0, x) + 0.5 * x * bessel(1, x))
                };
                terms.iter().map(term).sum()
            }
            Self::Kirkland => {
                let lorentz: f64 = terms[..3].iter().map(|[a, b]| a * 2.0 * PI * bessel(0, 2.0 * PI * r_angstrom * b.sqrt())).sum();
                let gauss = |[c, d]: &[f64; 2]| c * PI / d * (-(PI * r_angstrom).powi(2) / d).exp();
                lorentz + terms[3..].iter().map(gauss).sum::<f64>()
            }
        };
        PROJECTED_VOLT_ANGSTROM2 * sum
    }

    fn terms(self, element: Element) -> &'static Terms {
        static LOBATO: OnceLock<Vec<Terms>> = OnceLock::new();
        static KIRKLAND: OnceLock<Vec<Terms>> = OnceLock::new();
        let table = match self {
            // Columns after z and symbol: a1..a5 b1..b5.
            Self::Lobato => LOBATO.get_or_init(|| parse(include_str!("../../data/lobato_vandyck_2014.csv"), &[(0, 5, 5)])),
            // a1..a3 b1..b3 c1..c3 d1..d3.
            Self::Kirkland => KIRKLAND.get_or_init(|| parse(include_str!("../../data/kirkland_2010.csv"), &[(0, 3, 3), (6, 9, 3)])),
        };
        &table[usize::from(element.atomic_number()) - 1]
    }
}

/// Reads the table's rows; each block `(first, second, n)` pairs column first + i with column second + i.
fn parse(text: &str, blocks: &[(usize, usize, usize)]) -> Vec<Terms> {
    let rows = text.lines().filter(|l| l.starts_with(|c: char| c.is_ascii_digit()));
    rows.map(|line| {
        // The tables are part of the program: a test below reads every number, a user cannot reach a failure.
        let values: Vec<f64> = line.split(',').skip(2).map(|v| v.parse().expect("a number in the built-in table")).collect();
        blocks
            .iter()
            .flat_map(|&(first, second, n)| (0..n).map(move |i| (first + i, second + i)))
            .map(|(i, j)| [values[i], values[j]])
            .collect()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(symbol: &str) -> Element {
        Element::from_symbol(symbol).unwrap()
    }

    #[test]
    fn both_tables_hold_all_103_elements() {
        for factors in [Factors::Lobato, Factors::Kirkland] {
            for z in 1..=103 {
                let f = factors.scattering_factor_angstrom(Element::from_atomic_number(z).unwrap(), 0.5);
                assert!(f > 0.0 && f < 20.0, "{factors:?} {z}: {f}");
            }
        }
    }

    #[test]
    fn the_two_tables_agree_within_a_few_per_cent_at_half_an_inverse_angstrom() {
        for symbol in ["O", "Fe", "Bi", "Sr", "Ti", "Pb"] {
            let [l, k] = [Factors::Lobato, Factors::Kirkland].map(|f| f.scattering_factor_angstrom(element(symbol), 0.5));
            assert!((l / k - 1.0).abs() < 0.03, "{symbol}: {l} {k}");
        }
    }

    /// Golden projected potentials (V Å), Lobato, at R = 0.05, 0.1, 0.25, 0.5, 1, 2 Å.
    #[test]
    fn projected_potentials_of_o_fe_bi() {
        let golden = [
            ("O", [391.10, 254.29, 104.85, 29.550, 2.820, 0.035]),
            ("Fe", [1083.93, 671.64, 260.29, 83.886, 19.717, 1.802]),
            ("Bi", [2704.31, 1536.74, 518.96, 162.97, 32.428, 2.435]),
        ];
        for (symbol, values) in golden {
            for (r, expected) in [0.05, 0.1, 0.25, 0.5, 1.0, 2.0].into_iter().zip(values) {
                let v = Factors::Lobato.projected_potential_volt_angstrom(element(symbol), r);
                let half_a_digit = if expected > 1000.0 { 5.1e-3 } else { 5.1e-3 * f64::max(expected / 100.0, 0.1) };
                assert!((v - expected).abs() < half_a_digit, "{symbol} {r}: {v} against {expected}");
            }
        }
    }

    #[test]
    fn the_closed_form_is_the_transform_of_the_scattering_factor() {
        // Numerical Hankel transform at one radius, Simpson's rule; f_e falls as 1/k², J0 as 1/√k: damp and extrapolate with a Gaussian.
        let (r, damping) = (0.5, 2e-4);
        for factors in [Factors::Lobato, Factors::Kirkland] {
            let (n, k_max) = (200_000, 160.0);
            let dk = k_max / f64::from(n);
            let integrand = |k: f64| {
                let f = factors.scattering_factor_angstrom(element("Fe"), k);
                2.0 * PI * k * puruspe::bessel::Jn(0, 2.0 * PI * k * r) * f * (-damping * k * k).exp()
            };
            let sum: f64 = (0..=n)
                .map(|i| {
                    integrand(f64::from(i) * dk)
                        * if i == 0 || i == n {
                            1.0
                        } else if i % 2 == 1 {
                            4.0
                        } else {
                            2.0
                        }
                })
                .sum();
            let numerical = PROJECTED_VOLT_ANGSTROM2 * sum * dk / 3.0;
            let exact = factors.projected_potential_volt_angstrom(element("Fe"), r);
            assert!((numerical / exact - 1.0).abs() < 2e-3, "{factors:?}: {numerical} {exact}");
        }
    }
}
