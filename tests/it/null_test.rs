//! The null test: a crystal without polarization shows none upright, the same artefact with opposite signs under opposite tilts, and as much
//! scatter between phonon seeds as it reports.

use mistilt::study::Study;
use mistilt::study::compute::Images;
use mistilt::study::measure::{Record, records};
use mistilt::study::plan::Plan;
use std::path::Path;

/// Runs a study given as text, in the order of its points.
fn run(text: &str) -> Vec<Record> {
    let study = Study::parse("null-test", text, Path::new(""), &[]).unwrap_or_else(|error| panic!("{error}"));
    let plan = Plan::new(study.points()).unwrap();
    let mut out = Vec::new();
    for propagation in &plan.propagations {
        let images = Images::compute(propagation, &|_| ()).unwrap();
        for &place in &propagation.places {
            out.extend(records(propagation, &images, place, &study.points()[place.point]).unwrap());
        }
    }
    out.sort_by_key(|r| r.point);
    out
}

/// Cubic BiFeO3 at 300 kV and 25 mrad with a source of 0.8 Å.
fn study(thickness_nm: f64, ring_mrad: [f64; 2], simulation: &str, axes: &str) -> String {
    format!(
        "name = \"null\"\n\
         [crystal]\nstructure = \"bifeo3-cubic\"\nthickness_nm = {thickness_nm}\n\
         [microscope]\nvoltage_kv = 300\nconvergence_mrad = 25\nsource_fwhm_angstrom = 0.8\n\
         [[microscope.detectors]]\nname = \"haadf\"\ninner_mrad = {}\nouter_mrad = {}\n\
         [simulation]\n{simulation}\n\
         [sweep.axes]\n{axes}\n",
        ring_mrad[0], ring_mrad[1]
    )
}

fn apparent(record: &Record) -> [f64; 2] {
    record.apparent_pm().unwrap_or_else(|| panic!("{record:?}"))
}

#[test]
fn an_upright_cubic_crystal_has_no_shift_and_a_tilted_one_a_negative_one() {
    // 16 k-points with one antithetic pair each: 32 configurations.
    let simulation = "k_points = [4, 4]\nphonon_pairs = 1";
    let found = run(&study(20.0, [70.0, 115.0], simulation, "\"crystal.specimen_tilt_x_mrad\" = [0, 5, 10]"));
    assert_eq!(found.len(), 9);
    for record in found.iter().filter(|r| r.point == 0) {
        // Opposite k-points share their draw, so in an upright centrosymmetric crystal the errors of ±u at ±k0 cancel.
        for shift in apparent(record) {
            assert!(shift.abs() < 0.1, "{} sees {shift:+.3} pm upright", record.estimator);
        }
    }
    // Fe follows the tilt less than Bi: the shift points against a positive tilt.
    for record in found.iter().filter(|r| r.estimator == "maximum" && r.point > 0) {
        let tilt = [0.0, 5.0, 10.0][record.point];
        let [x, y] = apparent(record);
        let slope = x / tilt;
        assert!((-1.0..-0.2).contains(&slope), "{slope:+.3} pm/mrad at {tilt} mrad");
        assert!(y.abs() < 0.3, "{y:+.3} pm across the tilt");
    }
}

#[test]
fn opposite_tilts_fake_opposite_shifts() {
    let simulation = "k_points = [2, 2]\nphonons = false\nprecision = \"f64\"\npixel_angstrom = 0.08";
    let found = run(&study(8.0, [50.0, 70.0], simulation, "\"crystal.specimen_tilt_x_mrad\" = [-5, 0, 5]"));
    assert_eq!(found.len(), 9);
    for upright in &found[3..6] {
        assert!(apparent(upright).iter().all(|x| x.abs() < 1e-6), "at rest and upright nothing is shifted: {upright:?}");
    }
    for (minus, plus) in found[..3].iter().zip(&found[6..]) {
        let (a, b) = (apparent(minus), apparent(plus));
        assert!(b[0].abs() > 0.1, "{}: the tilt must fake something: {b:?}", plus.estimator);
        for c in 0..2 {
            assert!((a[c] + b[c]).abs() < 1e-6, "{}: {a:?} and {b:?} are no opposites", plus.estimator);
        }
    }
}

#[test]
fn seeds_scatter_by_the_sampling_error_that_is_reported() {
    let simulation = "k_points = [4, 4]\nphonon_pairs = 1\npixel_angstrom = 0.1";
    let seeds = 8;
    // Tilted, for upright the errors cancel.
    let axes = "\"seed\" = { linspace = [1, 8, 8] }\n\"crystal.specimen_tilt_x_mrad\" = [8]";
    let found = run(&study(6.0, [40.0, 60.0], simulation, axes));
    for estimator in ["gaussian", "centre-of-mass", "maximum"] {
        let own: Vec<&Record> = found.iter().filter(|r| r.estimator == estimator).collect();
        assert_eq!(own.len(), seeds);
        let mean = |c: usize| own.iter().map(|r| apparent(r)[c]).sum::<f64>() / seeds as f64;
        let means = [mean(0), mean(1)];
        let scatter = (own.iter().flat_map(|r| [0, 1].map(|c| apparent(r)[c] - means[c])).map(|v| v * v).sum::<f64>()
            / (2 * (seeds - 1)) as f64)
            .sqrt();
        let reported = (own.iter().flat_map(|r| r.sampling_sigma_pm).map(|v| v * v).sum::<f64>() / (2 * seeds) as f64).sqrt();
        assert!((0.4..2.5).contains(&(scatter / reported)), "{estimator}: scatter {scatter:.4} pm, reported {reported:.4} pm");
    }
}
