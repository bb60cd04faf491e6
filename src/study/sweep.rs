//! The sweep: all axes of a study, those that walk together, and the product of them in a fixed order.

use super::axes::{self, Axis, AxisValue, MAX_POINTS};
use super::error::Problem;
use super::tree::{Node, Value};
use super::{check, rules, when};

/// Key of the axis that repeats make.
pub(super) const SEED: &str = "seed";

/// Reads the axes, the zip groups, the conditions and the repeats of the `[sweep]` table; draws come from the study's `seed`.
pub(super) fn read(sweep: &Node, seed: u64, problems: &mut Vec<Problem>) -> Vec<Axis> {
    let entries = match sweep.get("axes").map(|axes| &axes.value) {
        Some(Value::Table(entries)) => entries.as_slice(),
        _ => &[],
    };
    let (mut axes, mut latin, mut conditions) = (Vec::new(), Vec::new(), Vec::new());
    for (key, node) in entries {
        let before = problems.len();
        let read = axes::read(key, node, seed, problems);
        if problems.len() == before {
            if read.latin {
                latin.push(axes.len());
            }
            conditions.extend(read.when.map(|when| (axes.len(), when)));
            let (column, group) = (String::new(), axes.len());
            axes.push(Axis { key: key.clone(), column, values: read.values, group, when: Vec::new(), place: node.place.clone() });
        }
    }
    if axes.len() == entries.len() {
        zip_groups(sweep, &latin, &mut axes, problems);
        when::resolve(&mut axes, &conditions, problems);
    }
    repeats(sweep, seed, &mut axes, problems);
    name_columns(&mut axes);
    axes
}

/// The fastest axis: seeds, as many as the study has repeats.
fn repeats(sweep: &Node, seed: u64, axes: &mut Vec<Axis>, problems: &mut Vec<Problem>) {
    // What is no whole number, or out of range, the check of the table has named.
    let Some(Node { value: Value::Integer(count @ 2..=1000), place, .. }) = sweep.get("repeats") else { return };
    if axes.iter().any(|axis| axis.key == SEED) {
        let help = "Give `repeats` or the axis `seed`, which lists the seeds one by one.";
        problems.push(Problem::at(place, "The study has `repeats` and an axis `seed`, and both repeat it.", "or this", help));
        return;
    }
    let values = rules::repeat_seeds(seed, *count as usize).into_iter().map(|seed| AxisValue::Integer(seed as i64)).collect();
    let group = axes.iter().map(|axis| axis.group + 1).max().unwrap_or(0);
    axes.push(Axis { key: SEED.to_owned(), column: String::new(), values, group, when: Vec::new(), place: place.clone() });
}

/// Puts axes that walk together in one group and numbers the groups in the order of the axes.
fn zip_groups(sweep: &Node, latin: &[usize], axes: &mut [Axis], problems: &mut Vec<Problem>) {
    let mut taken = vec![false; axes.len()];
    latin_group(latin, axes, &mut taken, problems);
    let groups = match sweep.get("zip").map(|zip| &zip.value) {
        Some(Value::List(groups)) => groups.as_slice(),
        _ => &[],
    };
    for group in groups {
        let Value::List(names) = &group.value else { continue };
        let mut members: Vec<usize> = Vec::new();
        for name in names {
            let Value::Text(key) = &name.value else { continue };
            let Some(index) = axes.iter().position(|axis| axis.key == *key) else {
                let help = match check::nearest(key, axes.iter().map(|a| a.key.as_str())) {
                    Some(meant) => format!("Did you mean \"{meant}\"?"),
                    None => "Name keys that stand under [sweep.axes].".to_owned(),
                };
                problems.push(Problem::at(&name.place, format!("zip names `{key}`, which is no axis."), "no axis", help));
                continue;
            };
            if std::mem::replace(&mut taken[index], true) {
                let help = "An axis walks with one group at most; those of a Latin hypercube walk together already.";
                problems.push(Problem::at(&name.place, format!("zip names the axis `{key}` twice."), "again", help));
            }
            members.push(index);
        }
        let lengths: Vec<usize> = members.iter().map(|&i| axes[i].values.len()).collect();
        if lengths.iter().any(|&n| n != lengths[0]) {
            let said = members.iter().map(|&i| format!("`{}` has {}", axes[i].key, axes[i].values.len())).collect::<Vec<_>>().join(", ");
            let message = format!("Axes that walk together need as many values each: {said}.");
            problems.push(Problem::at(
                &group.place,
                message,
                "unequal lengths",
                "Give them the same number of values, or leave out the zip.",
            ));
        }
        if let Some(&first) = members.iter().min() {
            let to = axes[first].group;
            for i in members {
                axes[i].group = to;
            }
        }
    }
    let mut order: Vec<usize> = axes.iter().map(|axis| axis.group).collect();
    order.sort_unstable();
    order.dedup();
    for axis in axes {
        axis.group = order.binary_search(&axis.group).unwrap_or(axis.group);
    }
}

/// All axes of the Latin hypercube walk together: they are one design.
fn latin_group(latin: &[usize], axes: &mut [Axis], taken: &mut [bool], problems: &mut Vec<Problem>) {
    let [first, others @ ..] = latin else { return };
    taken[*first] = true;
    for &other in others {
        let (a, b) = (&axes[*first], &axes[other]);
        if a.values.len() != b.values.len() {
            let (m, n) = (a.values.len(), b.values.len());
            let message = format!("A Latin hypercube has as many values on every axis: `{}` has {m}, `{}` has {n}.", a.key, b.key);
            problems.push(Problem::at(&b.place, message, "unequal lengths", "Give both the same `how_many`."));
        }
        axes[other].group = axes[*first].group;
        taken[other] = true;
    }
}

/// Names columns by the shortest tail of the key that no other axis has.
fn name_columns(axes: &mut [Axis]) {
    let tail = |key: &str, n: usize| {
        let parts: Vec<&str> = key.split('.').collect();
        parts[parts.len().saturating_sub(n)..].join("_")
    };
    let keys: Vec<String> = axes.iter().map(|axis| axis.key.clone()).collect();
    for (i, axis) in axes.iter_mut().enumerate() {
        let alone = |n: &usize| keys.iter().enumerate().all(|(j, other)| i == j || tail(other, *n) != tail(&keys[i], *n));
        axis.column = tail(&axis.key, (1..8).find(alone).unwrap_or(8));
    }
}

/// The index into each axis' values at every point, `None` where it is idle: groups multiply, the last fastest. `Err` is the number of points
/// beyond the cap (of which conditions may take some away).
pub(super) fn product(axes: &[Axis]) -> Result<Vec<Vec<Option<usize>>>, f64> {
    let groups = axes.iter().map(|axis| axis.group + 1).max().unwrap_or(0);
    let length = |g: usize| axes.iter().find(|axis| axis.group == g).map_or(1, |axis| axis.values.len());
    let most = (0..groups).map(|g| length(g) as f64).product::<f64>();
    let mut points = vec![vec![None; axes.len()]];
    for group in 0..groups {
        let members: Vec<usize> = (0..axes.len()).filter(|&i| axes[i].group == group).collect();
        // A group has one condition: `when::resolve` has seen to that.
        let holds: Vec<bool> = points.iter().map(|point| members.iter().all(|&i| when::holds(&axes[i], axes, point))).collect();
        let count: f64 = holds.iter().map(|&varies| if varies { length(group) as f64 } else { 1.0 }).sum();
        if count > MAX_POINTS as f64 {
            return Err(most);
        }
        let mut next = Vec::with_capacity(count as usize);
        for (point, varies) in points.into_iter().zip(holds) {
            for i in 0..if varies { length(group) } else { 1 } {
                let mut longer = point.clone();
                for &m in &members {
                    longer[m] = varies.then_some(i);
                }
                next.push(longer);
            }
        }
        points = next;
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::super::error::Source;
    use super::super::tree;
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write as _;
    use std::sync::Arc;

    fn sweep(text: &str) -> (Vec<Axis>, Vec<Problem>) {
        let root = tree::parse(&Arc::new(Source { name: "test".into(), text: text.into() })).unwrap();
        let mut problems = Vec::new();
        (read(&root, 1, &mut problems), problems)
    }

    fn numbers(axis: &Axis) -> Vec<f64> {
        axis.values.iter().filter_map(AxisValue::number).collect()
    }

    #[test]
    fn the_product_runs_the_last_axis_fastest_and_zipped_axes_together() {
        let (axes, problems) = sweep(
            "zip = [['crystal.specimen_tilt_x_mrad', 'crystal.specimen_tilt_y_mrad']]\n[axes]\n'crystal.specimen_tilt_x_mrad' = [0, 1]\n\
             'crystal.thickness_nm' = [10, 20, 30]\n'crystal.specimen_tilt_y_mrad' = [5, 6]\n",
        );
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(axes.iter().map(|a| a.group).collect::<Vec<_>>(), [0, 1, 0]);
        let points = product(&axes).unwrap();
        assert_eq!(points.len(), 6);
        assert_eq!(points[1], [Some(0), Some(1), Some(0)]);
        assert_eq!(points[3], [Some(1), Some(0), Some(1)]);
    }

    #[test]
    fn columns_that_clash_are_told_apart() {
        let (axes, problems) = sweep(
            "[axes]\n'microscope.detectors.haadf.inner_mrad' = [60]\n'microscope.detectors.abf.inner_mrad' = [10]\n'crystal.thickness_nm' = [10]\n",
        );
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(axes.iter().map(|a| a.column.as_str()).collect::<Vec<_>>(), ["haadf_inner_mrad", "abf_inner_mrad", "thickness_nm"]);
        assert_eq!(numbers(&axes[0]), [60.0]);
    }

    #[test]
    fn no_axis_is_one_point_and_too_many_are_counted_without_being_made() {
        assert_eq!(product(&[]).unwrap(), vec![Vec::<Option<usize>>::new()]);
        let key = |i: usize| ["thickness_nm", "specimen_tilt_x_mrad", "specimen_tilt_y_mrad"][i];
        let lines: Vec<String> = (0..3).map(|i| format!("'crystal.{}' = {{ linspace = [1, 2, 1000] }}", key(i))).collect();
        let (axes, problems) = sweep(&format!("[axes]\n{}\n", lines.join("\n")));
        assert!(problems.is_empty(), "{problems:?}");
        assert!((product(&axes).unwrap_err() - 1e9).abs() < 0.5);
    }

    #[test]
    fn a_conditional_axis_varies_where_its_condition_holds_and_is_idle_elsewhere() {
        let (axes, problems) = sweep(
            "[axes]\n'simulation.phonons' = [false, true]\n'crystal.thickness_nm' = [10, 20]\n\
             'simulation.phonon_pairs' = { values = [1, 2, 4], when = { 'simulation.phonons' = true } }\n",
        );
        assert!(problems.is_empty(), "{problems:?}");
        let points = product(&axes).unwrap();
        assert_eq!(points.len(), 2 + 2 * 3);
        assert_eq!(points[..3], [[Some(0), Some(0), None], [Some(0), Some(1), None], [Some(1), Some(0), Some(0)]]);
    }

    #[test]
    fn what_depends_on_an_idle_axis_is_idle_too() {
        let (axes, problems) = sweep(
            "[axes]\n'simulation.phonons' = [false, true]\n\
             'simulation.phonon_pairs' = { values = [1, 2], when = { 'simulation.phonons' = true } }\n\
             'simulation.phonon_period' = { values = [1, 2, 4], when = { 'simulation.phonon_pairs' = [1, 2] } }\n",
        );
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(product(&axes).unwrap().len(), 1 + 2 * 3);
    }

    #[test]
    fn axes_of_a_latin_hypercube_walk_together_and_repeats_are_the_fastest_axis() {
        let (axes, problems) = sweep(
            "repeats = 3\n[axes]\n'crystal.specimen_tilt_x_mrad' = { latin_hypercube = [-10, 10, 7] }\n'crystal.thickness_nm' = [10, 20]\n\
             'crystal.specimen_tilt_y_mrad' = { latin_hypercube = [-5, 5, 7] }\n",
        );
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(
            axes.iter().map(|a| (a.column.as_str(), a.group)).collect::<Vec<_>>(),
            [("specimen_tilt_x_mrad", 0), ("thickness_nm", 1), ("specimen_tilt_y_mrad", 0), ("seed", 2),]
        );
        assert_eq!(axes[3].values[0], AxisValue::Integer(1), "the first repeat has the seed of the study");
        let points = product(&axes).unwrap();
        assert_eq!(points.len(), 7 * 2 * 3);
        assert!(points.iter().all(|p| p[0] == p[2]));
        assert_eq!(points[1][3], Some(1));
    }

    /// Any sweep of up to four axes: their lengths, which of them hang on the first, and whether the last two walk together.
    fn any_sweep() -> impl Strategy<Value = (Vec<usize>, Vec<bool>, bool)> {
        (1..5_usize).prop_flat_map(|n| (prop::collection::vec(1..6_usize, n), prop::collection::vec(any::<bool>(), n), any::<bool>()))
    }

    proptest! {
        #[test]
        fn points_are_counted_ordered_distinct_and_the_same_again((lengths, hangs, zipped) in any_sweep()) {
            let keys = ["crystal.thickness_nm", "crystal.specimen_tilt_x_mrad", "crystal.specimen_tilt_y_mrad", "microscope.defocus_nm"];
            let mut lengths = lengths;
            let mut hangs = hangs;
            hangs[0] = false;
            let n = lengths.len();
            let zipped = zipped && n > 2;
            if zipped {
                lengths[n - 1] = lengths[n - 2];
                hangs[n - 1] = hangs[n - 2];
            }
            let mut text = if zipped { format!("zip = [['{}', '{}']]\n", keys[n - 2], keys[n - 1]) } else { String::new() };
            text += "[axes]\n";
            for i in 0..n {
                let condition = if hangs[i] { format!(", when = {{ '{}' = 1 }}", keys[0]) } else { String::new() };
                let _ = writeln!(text, "'{}' = {{ linspace = [1, 2, {}]{condition} }}", keys[i], lengths[i]);
            }
            let (axes, problems) = sweep(&text);
            prop_assert!(problems.is_empty(), "{text}{problems:?}");
            let points = product(&axes).unwrap();
            // By hand: the first value of the first axis lets all vary, each of its others only those that hang on nothing.
            let walks = |i: usize| !(zipped && i == n - 1);
            let all: usize = (1..n).filter(|&i| walks(i)).map(|i| lengths[i]).product();
            let free: usize = (1..n).filter(|&i| walks(i) && !hangs[i]).map(|i| lengths[i]).product();
            prop_assert_eq!(points.len(), all + (lengths[0] - 1) * free);
            prop_assert!(points.windows(2).all(|pair| pair[0][..] != pair[1][..]));
            // Slowest first: points sorted by their indices, group by group, are the points. Zipped axes stand side by side.
            let mut sorted = points.clone();
            sorted.sort();
            sorted.dedup();
            prop_assert_eq!(&sorted, &points);
            prop_assert_eq!(&product(&sweep(&text).0).unwrap(), &points);
        }
    }
}
