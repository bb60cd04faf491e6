//! What can go wrong when a simulation is set up: each message names the number and the way out.

/// Why a simulation was refused.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum MultisliceError {
    /// A detector or aperture reaches beyond the angles the sampling carries.
    #[error(
        "{what} reaches {angle_mrad:.1} mrad (with the largest tilt of this propagation), beyond the band limit of {limit_mrad:.1} mrad that a pixel of \
         {pixel_angstrom:.4} Å carries; lower it, or set simulation.pixel_angstrom to {needed_angstrom:.4} or less"
    )]
    BeyondBandLimit {
        /// "detector HAADF", "the aperture".
        what: String,
        /// Its outer angle plus the tilt that moves it, mrad.
        angle_mrad: f64,
        /// Two thirds of the Nyquist angle, mrad.
        limit_mrad: f64,
        /// The coarser of the two pixel sizes, Å.
        pixel_angstrom: f64,
        /// The pixel that would do, Å.
        needed_angstrom: f64,
    },
    /// A grid too large for memory or nonsense.
    #[error(
        "a grid of {nx} × {ny} points is beyond the {limit} points this program allows; use a smaller cell or a larger simulation.pixel_angstrom"
    )]
    GridTooLarge {
        /// Points along x.
        nx: usize,
        /// Points along y.
        ny: usize,
        /// Allowed points.
        limit: usize,
    },
    /// Counters of the phonon seeds would overflow their bits.
    #[error("{what}: {value} is beyond the {limit} this program allows")]
    TooMany {
        /// What was counted.
        what: &'static str,
        /// How many.
        value: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// The in-plane period of the phonons does not divide the k-grid.
    #[error("simulation.phonon_period = {period} must divide simulation.k_points = [{nx}, {ny}]: together they make one supercell")]
    PeriodDoesNotDivide {
        /// Cells an independent displacement field spans.
        period: usize,
        /// k-points along a1.
        nx: usize,
        /// k-points along a2.
        ny: usize,
    },
    /// The CPU kernels refused the grid.
    #[error(transparent)]
    Lanes(#[from] crate::numerics::lanes::LanesError),
    /// A graphics card cannot do it, or can no longer.
    #[error(transparent)]
    Device(#[from] super::cuda::DeviceError),
}

impl MultisliceError {
    /// Whether a card had too little memory.
    #[must_use]
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Device(error) if error.is_out_of_memory())
    }
}
