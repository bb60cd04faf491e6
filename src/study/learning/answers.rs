//! What a learning study says in sentences: errors where training and test are alike, what conditions the network never saw add, what mixed
//! training takes away, and where the network loses to the column fit.

use super::super::Study;
use super::super::wording::{named_value, quantity};
use super::arrange::{Arrangement, Group, TrainedAt, condition};
use super::records::{Estimate, Figure, LearningRecord, estimate};

/// Key sentences.
pub(super) fn answers(study: &Study, arrangement: &Arrangement, records: &[LearningRecord]) -> Vec<String> {
    let mut out = Vec::new();
    out.extend(alike(arrangement, records));
    if let Some(across) = &arrangement.across {
        out.extend(unlike(study, arrangement, records, across));
        out.extend(mixed(study, arrangement, records, across));
    }
    out.extend(against_the_fit(study, arrangement, records));
    out
}

/// The names under which a group's networks met their own image.
fn own_pairs(group: &Group) -> Vec<(usize, String)> {
    group.rows.iter().filter(|r| r.points.len() == 1).map(|r| (r.points[0], r.trained_at.name())).collect()
}

fn alike(arrangement: &Arrangement, records: &[LearningRecord]) -> Option<String> {
    let (mut network, mut fit, mut mean) = (Vec::new(), Vec::new(), Vec::new());
    for (number, group) in arrangement.groups.iter().enumerate() {
        for (point, name) in own_pairs(group) {
            network.push(estimate(records, number, point, Some(&name), Figure::Rmse).mean);
            mean.push(estimate(records, number, point, Some(&name), Figure::Spread).mean);
            fit.push(estimate(records, number, point, None, Figure::Rmse).mean);
        }
    }
    let range = |values: &[f64]| {
        let known = || values.iter().copied().filter(|v| v.is_finite());
        let (low, high) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
        match known().count() {
            0 => None,
            1 => Some(format!("{low:.1} pm")),
            _ => Some(format!("{low:.1} to {high:.1} pm")),
        }
    };
    let network = range(&network)?;
    let fit = range(&fit).map_or(String::new(), |f| format!("; the column fit errs by {f} on the cells beyond the line"));
    let mean = range(&mean).map_or(String::new(), |m| format!("; always giving the mean errs by {m}"));
    Some(format!(
        "Trained before the line and tested beyond it in images of the same condition, the network errs by {network} (RMSE of a component){fit}{mean}."
    ))
}

/// The worst pair of conditions, and what is seen there that is not there.
fn unlike(study: &Study, arrangement: &Arrangement, records: &[LearningRecord], across: &str) -> Option<String> {
    let place = study.axes.iter().position(|a| a.column == *across)?;
    let mut worst: Option<(f64, String)> = None;
    for (number, group) in arrangement.groups.iter().enumerate() {
        for row in group.rows.iter().filter(|r| r.points.len() == 1) {
            for &point in group.points.iter().filter(|p| !row.points.contains(p)) {
                let name = row.trained_at.name();
                let get = |figure| estimate(records, number, point, Some(&name), figure);
                let rmse = get(Figure::Rmse);
                if rmse.mean.is_nan() || worst.as_ref().is_some_and(|(w, _)| *w >= rmse.mean) {
                    continue;
                }
                let at = &study.points()[point].values[place].1;
                let (x, y) = (get(Figure::BiasX), get(Figure::BiasY));
                let fit = [Figure::BiasX, Figure::BiasY].map(|f| estimate(records, number, point, None, f));
                let beside = if fit[0].mean.is_nan() {
                    String::new()
                } else {
                    format!("; the column fit of the same cells sees ({}, {}) pm that is not there", fit[0].text(), fit[1].text())
                };
                let trained = match &row.trained_at {
                    TrainedAt::Value(value) => named_value(across, value),
                    _ => name,
                };
                let sentence = format!(
                    "Trained at {trained} and tested at {}{}, the network errs most: by {} pm, of which ({}, {}) pm is its mean error, polarization \
                     that is not there{beside}.",
                    named_value(across, at),
                    condition(group),
                    rmse.text(),
                    x.text(),
                    y.text()
                );
                worst = Some((rmse.mean, sentence));
            }
        }
    }
    worst.map(|(_, sentence)| sentence)
}

/// Length of the mean error in one repeat, pm: false polarization; NaN where there is none.
fn bias(records: &[LearningRecord], group: usize, point: usize, trained_at: Option<&str>, repeat: u32) -> f64 {
    let method = if trained_at.is_some() { "network" } else { "column-fit" };
    let own = |r: &&LearningRecord| {
        r.group == group
            && r.point == point
            && r.repeat == repeat
            && r.method == method
            && trained_at.is_none_or(|name| r.trained_at == name)
    };
    records.iter().find(own).and_then(|r| r.score).map_or(f64::NAN, |s| s.bias_pm[0].hypot(s.bias_pm[1]))
}

/// Mean false polarization, pm, of one repeat over every network trained at one condition and every condition it never saw (`also_mixed`: that
/// the mixed one never saw either); of mixed training and of the column fit at the same conditions.
fn false_polarization(arrangement: &Arrangement, records: &[LearningRecord], repeat: u32, also_mixed: bool) -> [f64; 3] {
    let mut lengths: [Vec<f64>; 3] = std::array::from_fn(|_| Vec::new());
    for (number, group) in arrangement.groups.iter().enumerate() {
        let mixed = group.rows.iter().find(|r| r.trained_at == TrainedAt::Mixed).map_or(&[][..], |r| &r.points);
        for row in group.rows.iter().filter(|r| r.trained_at != TrainedAt::Mixed) {
            let name = row.trained_at.name();
            for &point in group.points.iter().filter(|p| !(row.points.contains(p) || also_mixed && mixed.contains(p))) {
                for (all, trained_at) in lengths.iter_mut().zip([Some(name.as_str()), Some("mixed"), None]) {
                    all.push(bias(records, number, point, trained_at, repeat));
                }
            }
        }
    }
    lengths.map(|all| Estimate::of(all.into_iter()).mean)
}

/// How much of the false polarization a network trained on all conditions leaves.
fn mixed(study: &Study, arrangement: &Arrangement, records: &[LearningRecord], across: &str) -> Option<String> {
    let learning = study.learning.as_ref()?;
    if learning.mix_over.is_empty() {
        return None;
    }
    let told = |also_mixed: bool| Removal::of((0..learning.repeats).map(|r| false_polarization(arrangement, records, r, also_mixed)));
    let all = told(false)?;
    let windows = match (learning.train_windows, learning.mix_windows) {
        (Some(own), Some(all)) if own != all => format!("with {all} windows instead of {own}"),
        (Some(_), _) => "with as many windows".to_owned(),
        (None, Some(all)) => format!("with {all} windows"),
        (None, None) => "with the windows of all".to_owned(),
    };
    let unseen = match told(true).filter(|_| !learning.mix_at.is_empty()) {
        Some(unseen) => format!(" At those that it never saw either, it goes {}", unseen.text()),
        None => String::new(),
    };
    Some(format!(
        "Networks trained at one {} report a false polarization (length of the mean error) at those they never saw. Training on many conditions \
         together, {windows}, takes it on average {}{unseen}",
        quantity(across),
        all.text()
    ))
}

/// False polarization of networks of one condition, of mixed training and of the fit, pm, and the part that mixing removes, %.
struct Removal {
    alone: Estimate,
    mixed: Estimate,
    fit: Estimate,
    removed: Estimate,
}

impl Removal {
    /// From one triple a repeat; `None` where something is missing.
    fn of(repeats: impl Iterator<Item = [f64; 3]>) -> Option<Self> {
        let repeats: Vec<[f64; 3]> = repeats.collect();
        let [alone, mixed, fit] = [0, 1, 2].map(|k| Estimate::of(repeats.iter().map(|r| r[k])));
        let removed = Estimate::of(repeats.iter().map(|r| 100.0 * (1.0 - r[1] / r[0])));
        (alone.mean.is_finite() && mixed.mean.is_finite()).then_some(Self { alone, mixed, fit, removed })
    }

    fn text(&self) -> String {
        let Self { alone, mixed, fit, removed } = self;
        let interval = if removed.half_width.is_finite() { format!(" ± {:.0}", removed.half_width) } else { String::new() };
        let change = format!("{:.0}{interval} % {}", removed.mean.abs(), if removed.mean >= 0.0 { "less" } else { "more" });
        let fit = if fit.mean.is_finite() { format!("; the column fit shows {} pm", fit.text()) } else { String::new() };
        format!("from {} to {} pm ({change}){fit}.", alone.text(), mixed.text())
    }
}

/// Where the network is worse than the fit, and where better; decided by the means, named only if the intervals do not overlap.
fn against_the_fit(study: &Study, arrangement: &Arrangement, records: &[LearningRecord]) -> Option<String> {
    let (mut wins, mut losses, mut even, mut alone) = (Vec::new(), Vec::new(), 0, Vec::new());
    for (number, group) in arrangement.groups.iter().enumerate() {
        for (point, name) in own_pairs(group) {
            let (network, fit) =
                (estimate(records, number, point, Some(&name), Figure::Rmse), estimate(records, number, point, None, Figure::Rmse));
            let at = study.points()[point].values.iter().map(|(n, v)| named_value(n, v)).collect::<Vec<_>>().join(", ");
            let at = if at.is_empty() { "in this image".to_owned() } else { at };
            match (network.mean.is_finite(), fit.mean.is_finite()) {
                (true, false) => alone.push(at),
                (true, true) => {
                    let apart = (network.mean - fit.mean).abs();
                    let known = |h: f64| if h.is_finite() { h } else { 0.0 };
                    if apart <= known(network.half_width) + known(fit.half_width) {
                        even += 1;
                    } else if network.mean < fit.mean {
                        wins.push(at);
                    } else {
                        losses.push(at);
                    }
                }
                _ => {}
            }
        }
    }
    let compared = wins.len() + losses.len() + even;
    if compared + alone.len() == 0 {
        return None;
    }
    let list = |what: &str, places: &[String]| {
        let shown = places.iter().take(4).cloned().collect::<Vec<_>>().join("; ");
        let more = if places.len() > 4 { format!("; and {} more", places.len() - 4) } else { String::new() };
        if places.is_empty() { String::new() } else { format!(" {what}: {shown}{more}.") }
    };
    Some(format!(
        "Against the column fit, trained and tested alike, the network is better at {}, worse at {} and not told apart at {even} of {compared} conditions.{}{}{}",
        wins.len(),
        losses.len(),
        list("It loses at", &losses),
        list("It wins at", &wins),
        list("The fit gives nothing at", &alone)
    ))
}

/// What the reader must not overlook.
pub(super) fn warnings(records: &[LearningRecord]) -> Vec<String> {
    let mut out = Vec::new();
    if records.iter().any(|r| r.leaky) {
        out.push("Windows were divided at random or with a narrow guard band: test windows share pixels with training windows, and the errors are too small.".to_owned());
    }
    let mut reasons: Vec<&str> = records.iter().map(|r| r.refusal.as_str()).filter(|r| !r.is_empty()).collect();
    let refused = reasons.len();
    reasons.sort_unstable();
    reasons.dedup();
    if let Some(first) = reasons.first() {
        out.push(format!("{refused} of {} rows have no result; the first reason: {first}.", records.len()));
    }
    out
}
