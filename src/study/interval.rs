//! Confidence intervals of means and slopes by Student's t, at 95 %.

/// Half the width of the 95 % confidence interval in standard errors, for so many degrees of freedom; infinite where there is none.
///
/// t solves `I_x(ν/2, 1/2) = 0.05` with `x = ν/(ν + t²)`, I the regularized incomplete beta function (Abramowitz and Stegun, 26.7.1).
pub(super) fn t95(degrees: usize) -> f64 {
    if degrees == 0 {
        return f64::INFINITY;
    }
    let nu = degrees as f64;
    let x = puruspe::invbetai(0.05, 0.5 * nu, 0.5);
    (nu * (1.0 / x - 1.0)).sqrt()
}

/// The mean of some values and half the width of its 95 % confidence interval from their scatter; `None` without two values.
pub(super) fn mean95(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (values.len() > 1).then(|| (mean, t95(values.len() - 1) * (variance / n).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two-sided 95 % points of t as every textbook tables them.
    #[test]
    fn t_is_the_tabled_one() {
        for (degrees, t) in [(1, 12.706), (2, 4.303), (3, 3.182), (5, 2.571), (10, 2.228), (30, 2.042), (120, 1.980), (10_000, 1.960)] {
            assert!((t95(degrees) - t).abs() < 5e-4 * t, "{degrees}: {}", t95(degrees));
        }
        assert!(t95(0).is_infinite());
    }

    #[test]
    fn the_interval_of_a_mean_is_that_of_its_standard_error() {
        // Values 1, 2, 3: mean 2, standard deviation 1, standard error 1/√3, two degrees of freedom.
        let (mean, half) = mean95(&[1.0, 2.0, 3.0]).unwrap();
        assert!((mean - 2.0).abs() < 1e-12 && (half - 4.302_65 / 3_f64.sqrt()).abs() < 1e-4);
        assert!(mean95(&[1.0]).is_none() && mean95(&[]).is_none());
    }
}
