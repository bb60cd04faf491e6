//! `mistilt converge`: what the numerics cost, one row a knob.

use super::devices::DeviceArgs;
use super::failure::Failure;
use super::output::Output;
use super::study::{StudyArgs, with_threads};
use crate::study::RunError;
use crate::study::converge::{Row, converge};
use crate::study::measure::Record;
use serde_json::{Value as Json, json};
use std::num::NonZeroUsize;

/// Which point.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    study: StudyArgs,
    /// Point of the study, as `study plan` numbers them. Default: the last
    #[arg(long, value_name = "N")]
    point: Option<usize>,
    /// Threads to compute with, 1 or more. Default: all cores
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    #[command(flatten)]
    device: DeviceArgs,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let study = args.study.read()?;
    let points = study.points();
    let asked = args.point.unwrap_or(points.len().saturating_sub(1));
    let point = points.get(asked).ok_or(RunError::NoSuchPoint { asked, points: points.len() })?;
    let values: Vec<String> = point.values.iter().map(|(name, value)| format!("{name} {value}")).collect();
    output.say(&format!("point {asked}: {}", values.join(", ")));
    let bar = output.bar(0);
    bar.set_style(indicatif::ProgressStyle::default_spinner());
    let rows = with_threads(args.threads, || converge(point, args.device.device, &|text| bar.set_message(text.to_owned())))?;
    bar.finish_and_clear();
    if output.json {
        let lines: Vec<Json> = changes(&rows).iter().map(Change::json).collect();
        return Ok(output.json(&lines)?);
    }
    let mut text = format!(
        "{:<26}{:>10}  {:<10}{:<16}{:>9}{:>9}{:>9}{:>11}{:>8}\n",
        "setting", "value", "detector", "estimator", "dx (pm)", "dy (pm)", "± (pm)", "signal (%)", "s"
    );
    for change in changes(&rows) {
        text += &change.line();
    }
    Ok(output.data(&text)?)
}

/// A knob's effect on one detector and estimator.
struct Change<'a> {
    row: &'a Row,
    /// The record with the change and the one without, or why there is none.
    pair: Result<(&'a Record, &'a Record), &'a str>,
}

fn changes(rows: &[Row]) -> Vec<Change<'_>> {
    let base: &[Record] = rows.first().and_then(|r| r.outcome.as_ref().ok()).map_or(&[], Vec::as_slice);
    rows.iter()
        .flat_map(|row| match &row.outcome {
            Ok(records) => records.iter().zip(base).map(|pair| Change { row, pair: Ok(pair) }).collect::<Vec<_>>(),
            Err(why) => vec![Change { row, pair: Err(why) }],
        })
        .collect()
}

impl Change<'_> {
    /// dx, dy (pm), their sampling error (pm) and the change of the mean signal (%).
    fn numbers(&self) -> Option<[f64; 4]> {
        let (new, old) = self.pair.ok()?;
        let (a, b) = (new.apparent_pm()?, old.apparent_pm()?);
        let sigma = new.sampling_sigma_pm.iter().copied().fold(0.0, f64::max);
        Some([a[0] - b[0], a[1] - b[1], sigma, 100.0 * (new.intensity / old.intensity - 1.0)])
    }

    fn line(&self) -> String {
        let head = format!("{:<26}{:>10}  ", self.row.knob, self.row.value);
        match (self.pair, self.numbers()) {
            (Ok((new, _)), Some([dx, dy, sigma, signal])) => format!(
                "{head}{:<10}{:<16}{dx:>+9.3}{dy:>+9.3}{sigma:>9.3}{signal:>+11.2}{:>8.1}\n",
                new.detector, new.estimator, self.row.seconds
            ),
            (Ok((new, _)), None) => format!("{head}{:<10}{:<16}a column could not be measured\n", new.detector, new.estimator),
            (Err(why), _) => format!("{head}{why}\n"),
        }
    }

    fn json(&self) -> Json {
        let [dx, dy, sigma, signal] = self.numbers().map_or([None; 4], |n| n.map(Some));
        json!({
            "setting": self.row.knob,
            "value": self.row.value,
            "detector": self.pair.ok().map(|p| &p.0.detector),
            "estimator": self.pair.ok().map(|p| p.0.estimator),
            "dx_pm": dx, "dy_pm": dy, "sampling_sigma_pm": sigma, "signal_change_percent": signal,
            "seconds": self.row.seconds,
            "error": self.pair.err(),
        })
    }
}
