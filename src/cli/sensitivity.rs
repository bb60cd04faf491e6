//! `mistilt sensitivity`: how many picometres of shift a milliradian of mis-tilt fakes.

use super::failure::Failure;
use super::output::Output;
use super::specimen::{Range, Specimen};
use super::study::with_threads;
use crate::artifact::{Ruler, Sensitivity, TiltLibrary, sensitivities, spaced};
use crate::columns::Estimator;
use crate::image::whole_file;
use crate::report::sensitivity as figures;
use crate::study::store::{Draft, PROVENANCE};
use crate::study::{RunError, Study, sensitivity};
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Which specimen, or which study.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Study file (TOML) whose crystal, microscope, thicknesses, defoci and estimators to take. Default: the options below
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    specimen: Specimen,
    /// Effective source size, Å, or a range in steps of 0.2. Default: 0.8
    #[arg(long, value_name = "A", default_value = "0.8", hide_default_value = true)]
    source_fwhm_angstrom: Range,
    /// Folder for the table, figures and report; one with earlier results is replaced. Default: none, the table is printed only
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Estimators of the table, each in the window it is used with: the joint fit in 0.35 of the cell, single columns as in studies.
fn rulers() -> Vec<Ruler> {
    let single = |estimator| Ruler { estimator, window_radius_angstrom: 0.9, sample_angstrom: 0.1 };
    vec![Ruler::default(), single(Estimator::Gaussian), single(Estimator::CentreOfMass), single(Estimator::Maximum)]
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let (crystal, conditions, sources, rulers) = if let Some(file) = &args.file {
        let study = Study::read(file, &[])?;
        let asked = sensitivity::request(&study, args.specimen.max_tilt_mrad)?;
        (asked.crystal, asked.conditions, asked.source_fwhm_angstrom, asked.rulers)
    } else {
        let conditions = args.specimen.conditions(args.specimen.max_tilt_mrad.unwrap_or(10.0))?;
        let sources = spaced(args.source_fwhm_angstrom.low, args.source_fwhm_angstrom.high, 0.2);
        (args.specimen.crystal()?, conditions, sources, rulers())
    };
    let library = args.specimen.library(&crystal, &conditions, output)?;
    if library.header.lost > 0.02 {
        output.say(&format!(
            "{:.1} % of the beam left through the band limit; a smaller --wave-pixel-angstrom keeps more",
            100.0 * library.header.lost
        ));
    }
    let (rows, missing) = with_threads(args.specimen.threads, || Ok(sensitivities(&library, &sources, &rulers)))??;
    for why in &missing {
        output.say(&format!("left out: {why}"));
    }
    if rows.is_empty() {
        return Err(Failure::BadInput("no row could be measured: see what was left out".to_owned()));
    }
    if let Some(target) = &args.output {
        let folder = publish(target, &library, &rows)?;
        output.say(&format!("The report is {}", folder.join("report.html").display()));
    }
    if output.json {
        let true_shift_pm = library.true_shift_pm();
        let value = json!({
            "structure": library.header.crystal.0, "source": library.header.crystal.1, "true_shift_pm": true_shift_pm,
            "conditions": library.header.conditions, "library": library.header.key, "lost": library.header.lost, "rows": rows, "left_out": missing,
        });
        return Ok(output.json(&value)?);
    }
    Ok(output.data(&table(&rows))?)
}

/// One line a row, columns aligned.
fn table(rows: &[Sensitivity]) -> String {
    let mut out = format!(
        "{:>9} {:>8} {:>7} {:<15} {:>8} {:>8} {:>8} {:>8} {:>6} {:>9} {:>9} {:>8} {:>8} {:>7}\n{:>9} {:>8} {:>7} {:<15} {:>35} {:>6} {:>19} {:>17} {:>7}\n",
        "thickness",
        "defocus",
        "source",
        "estimator",
        "dPx/dθx",
        "dPx/dθy",
        "dPy/dθx",
        "dPy/dθy",
        "±",
        "d²Px/dθx²",
        "d²Py/dθy²",
        "Px at 0",
        "Py at 0",
        "misfit",
        "nm",
        "nm",
        "Å",
        "",
        "pm/mrad",
        "",
        "pm/mrad²",
        "measured − true, pm",
        "pm"
    );
    for r in rows {
        let [[a, b], [c, d]] = r.slope_pm_per_mrad;
        let sigma = r.slope_sigma_pm_per_mrad.iter().flatten().copied().fold(0.0, f64::max);
        let name = estimator_name(r.estimator);
        let misfit = r.misfit_pm[0].max(r.misfit_pm[1]);
        let _ = writeln!(
            out,
            "{:>9.1} {:>8.1} {:>7.2} {name:<15} {a:>+8.3} {b:>+8.3} {c:>+8.3} {d:>+8.3} {sigma:>6.3} {:>+9.4} {:>+9.4} {:>+8.2} {:>+8.2} {misfit:>7.3}",
            r.thickness_nm,
            r.defocus_nm,
            r.source_fwhm_angstrom,
            r.curvature_pm_per_mrad2[0][0],
            r.curvature_pm_per_mrad2[1][2],
            r.offset_pm[0],
            r.offset_pm[1],
        );
    }
    out
}

/// The name an estimator has on the command line and in files.
pub(super) fn estimator_name(estimator: Estimator) -> String {
    serde_json::to_value(estimator).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn publish(target: &std::path::Path, library: &TiltLibrary, rows: &[Sensitivity]) -> Result<PathBuf, Failure> {
    let draft = Draft::begin(target)?;
    let path = draft.path().join("sensitivity.csv");
    whole_file(&path, |file| {
        let mut table = csv::Writer::from_writer(file);
        table.write_record(figures::COLUMNS)?;
        for row in rows {
            table.write_record(figures::record(row, &estimator_name(row.estimator)))?;
        }
        table.flush()
    })
    .map_err(RunError::disk(&path))?;
    let folder = draft.subfolder("figures")?;
    let captioned = figures::figures(rows, library.header.conditions.tilt_mrad).map_err(RunError::from)?;
    for c in &captioned {
        c.figure.save(&folder, c.stem).map_err(RunError::from)?;
    }
    let provenance = json!({
        "program": format!("mistilt {}", env!("CARGO_PKG_VERSION")),
        "commit": env!("MISTILT_COMMIT"),
        "structure": library.header.crystal.0,
        "structure_source": library.header.crystal.1,
        "library": library.header.key,
        "conditions": library.header.conditions,
        "lost": library.header.lost,
    });
    let page = figures::page(library, rows, &captioned, &provenance).map_err(RunError::from)?;
    page.save(&draft.path().join("report.html")).map_err(RunError::from)?;
    draft.json(PROVENANCE, &provenance)?;
    Ok(draft.publish()?)
}
