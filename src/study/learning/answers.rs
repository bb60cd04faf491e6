//! What a learning study says in sentences: errors where training and test are alike, what conditions the network never saw add, what mixed
//! training takes away, and where the network loses to the column fit.

use super::super::Study;
use super::super::wording::plain;
use super::arrange::{Arrangement, Group, condition};
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
                let sentence = format!(
                    "Trained at {} {name} and tested at {at}{}, the network errs most: by {} pm, of which ({}, {}) pm is its mean error, polarization \
                     that is not there{beside}.",
                    plain(across),
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

/// Length of the mean error, pm: false polarization.
fn bias(records: &[LearningRecord], group: usize, point: usize, trained_at: Option<&str>) -> f64 {
    let get = |figure| estimate(records, group, point, trained_at, figure).mean;
    get(Figure::BiasX).hypot(get(Figure::BiasY))
}

/// How much of the false polarization a network trained on all conditions leaves.
fn mixed(study: &Study, arrangement: &Arrangement, records: &[LearningRecord], across: &str) -> Option<String> {
    let place = study.axes.iter().position(|a| a.column == *across)?;
    let (mut single, mut together, mut fitted) = (Vec::new(), Vec::new(), Vec::new());
    let mut names = Vec::new();
    for (number, group) in arrangement.groups.iter().enumerate() {
        group.rows.iter().find(|r| r.trained_at.name() == "mixed")?;
        for row in group.rows.iter().filter(|r| r.points.len() == 1) {
            let name = row.trained_at.name();
            for &point in group.points.iter().filter(|p| !row.points.contains(p)) {
                single.push(bias(records, number, point, Some(&name)));
                together.push(bias(records, number, point, Some("mixed")));
                fitted.push(bias(records, number, point, None));
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let mean = |values: &[f64]| Estimate::of(values.iter().copied()).mean;
    let (alone, all, fit) = (mean(&single), mean(&together), mean(&fitted));
    if !(alone.is_finite() && all.is_finite()) {
        return None;
    }
    let change = 100.0 * (1.0 - all / alone);
    let verb = if change >= 0.0 { format!("removes {change:.0} % of it") } else { format!("adds {:.0} % to it", -change) };
    let fit = if fit.is_finite() { format!(" The column fit shows {fit:.1} pm.") } else { String::new() };
    let axis = &study.axes[place];
    let count = axis.values.len();
    Some(format!(
        "Where networks trained at {} {} meet {} values they never saw, the mean error (false polarization) is {alone:.1} pm long on average; training on \
         all conditions together, with as many windows, {verb}: {all:.1} pm is left.{fit}",
        plain(across),
        names.join(" or "),
        count.saturating_sub(1)
    ))
}

/// Where the network is worse than the fit, and where better; decided by the means, named only if the intervals do not overlap.
fn against_the_fit(study: &Study, arrangement: &Arrangement, records: &[LearningRecord]) -> Option<String> {
    let (mut wins, mut losses, mut even, mut alone) = (Vec::new(), Vec::new(), 0, Vec::new());
    for (number, group) in arrangement.groups.iter().enumerate() {
        for (point, name) in own_pairs(group) {
            let (network, fit) =
                (estimate(records, number, point, Some(&name), Figure::Rmse), estimate(records, number, point, None, Figure::Rmse));
            let at = study.points()[point].values.iter().map(|(n, v)| format!("{} {v}", plain(n))).collect::<Vec<_>>().join(", ");
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
    let ratios = records.iter().filter_map(|r| r.score).map(|s| s.error_over_sigma).filter(|r| r.is_finite());
    let (count, sum) = ratios.fold((0, 0.0), |(n, s), r| (n + 1, s + r));
    if count > 0 && sum / f64::from(count) > 1.5 {
        out.push(format!(
            "The networks claim to be surer than they are: errors are {:.1} times their own σ on average over all tests, those under conditions never seen \
             included.",
            sum / f64::from(count)
        ));
    }
    out
}
