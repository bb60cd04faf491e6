//! From displacement to polarization density by a named factor; pm in, µC/cm² out. ADF images show no oxygen, so every factor is a model.

/// What the displacement of B against A is taken to say about the charge that moved.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "model", rename_all = "kebab-case")]
pub enum ChargeModel {
    /// The atoms of `BiFeO3` move together along its ferroelectric mode: 2.37 µC/cm² per pm of Fe against Bi (41.3 pm for about
    /// 98 µC/cm² along ⟨111⟩). The polarization points *against* that displacement: relative to the oxygen octahedra Bi moves 0.67 Å
    /// and Fe 0.26 Å the same way (Palewicz et al., Acta Cryst. B 63 (2007) 537), so Fe against Bi points back.
    CollectiveMode,
    /// Only B moves, with its Born effective charge, in a frame of A and O that stays: P = e Z* u / V. For `BiFeO3` Z*(Fe) = 3.49
    /// and V = (396 pm)³: 0.90 µC/cm² per pm, a lower bound.
    BornChargeOfB {
        /// Born effective charge of B, in elementary charges.
        charge: f64,
        /// Side of the pseudocubic cell, pm.
        lattice_a_pm: f64,
    },
}

impl ChargeModel {
    /// µC/cm² per pm of displacement of B against A; negative where the polarization points the other way.
    #[must_use]
    pub fn factor_uc_per_cm2_pm(self) -> f64 {
        match self {
            Self::CollectiveMode => -2.37,
            // 1 e/pm² = 1.602176634e7 µC/cm² (CODATA 2018).
            Self::BornChargeOfB { charge, lattice_a_pm } => 1.602_176_634e7 * charge / lattice_a_pm.powi(3),
        }
    }

    /// Name and value of the factor, for a figure's caption.
    #[must_use]
    pub fn describe(self) -> String {
        let factor = self.factor_uc_per_cm2_pm();
        match self {
            Self::CollectiveMode => format!("BiFeO3 collective mode, {factor:.2} µC/cm² per pm"),
            Self::BornChargeOfB { charge, .. } => format!("B moves alone with Z* = {charge}, {factor:.2} µC/cm² per pm"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bismuth_ferrite_has_its_polarization_and_b_alone_has_less() {
        // Fe stands 41.3 pm from the middle of its Bi cage, against the polarization.
        assert!((ChargeModel::CollectiveMode.factor_uc_per_cm2_pm() * -41.3 - 98.0).abs() < 0.5);
        let born = ChargeModel::BornChargeOfB { charge: 3.49, lattice_a_pm: 396.0 };
        assert!((born.factor_uc_per_cm2_pm() - 0.900).abs() < 0.002);
        assert!(born.describe().contains("3.49"));
    }
}
