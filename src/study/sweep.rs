//! The sweep: all axes of a study, those that walk together, and the product of them in a fixed order.

use super::axes::{Axis, MAX_POINTS, axis_values};
use super::check;
use super::error::Problem;
use super::tree::{Node, Value};

/// Reads the axes and the zip groups of the `[sweep]` table.
pub(super) fn read(sweep: &Node, problems: &mut Vec<Problem>) -> Vec<Axis> {
    let entries = match sweep.get("axes").map(|axes| &axes.value) {
        Some(Value::Table(entries)) => entries.as_slice(),
        _ => &[],
    };
    let mut axes = Vec::new();
    for (key, node) in entries {
        let before = problems.len();
        let values = axis_values(key, node, problems);
        if problems.len() == before {
            let column = String::new();
            axes.push(Axis { key: key.clone(), column, values, group: axes.len(), place: node.place.clone() });
        }
    }
    if axes.len() == entries.len() {
        zip_groups(sweep, &mut axes, problems);
    }
    name_columns(&mut axes);
    axes
}

/// Puts zipped axes in one group and numbers the groups in the order of the axes.
fn zip_groups(sweep: &Node, axes: &mut [Axis], problems: &mut Vec<Problem>) {
    let Some(Value::List(groups)) = sweep.get("zip").map(|zip| &zip.value) else { return };
    let mut taken = vec![false; axes.len()];
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
                let help = "An axis walks with one group at most.";
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

/// The indices into each axis' values at every point: groups multiply, the last fastest. `Err` is the number of points beyond the cap.
pub(super) fn product(axes: &[Axis]) -> Result<Vec<Vec<usize>>, f64> {
    let groups = axes.iter().map(|axis| axis.group + 1).max().unwrap_or(0);
    let length = |g: usize| axes.iter().find(|axis| axis.group == g).map_or(1, |axis| axis.values.len());
    let lengths: Vec<usize> = (0..groups).map(length).collect();
    let total = lengths.iter().map(|&n| n as f64).product::<f64>();
    if total > MAX_POINTS as f64 {
        return Err(total);
    }
    let at = |point: usize| {
        let (mut left, mut by_group) = (point, vec![0; groups]);
        for (index, &n) in by_group.iter_mut().zip(&lengths).rev() {
            *index = left % n;
            left /= n;
        }
        axes.iter().map(|axis| by_group[axis.group]).collect()
    };
    Ok((0..total as usize).map(at).collect())
}

#[cfg(test)]
mod tests {
    use super::super::axes::AxisValue;
    use super::super::error::Source;
    use super::super::tree;
    use super::*;
    use std::sync::Arc;

    fn sweep(text: &str) -> (Vec<Axis>, Vec<Problem>) {
        let root = tree::parse(&Arc::new(Source { name: "test".into(), text: text.into() })).unwrap();
        let mut problems = Vec::new();
        (read(&root, &mut problems), problems)
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
        assert_eq!(points[1], [0, 1, 0]);
        assert_eq!(points[3], [1, 0, 1]);
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
        assert_eq!(product(&[]).unwrap(), vec![Vec::<usize>::new()]);
        let key = |i: usize| ["thickness_nm", "specimen_tilt_x_mrad", "specimen_tilt_y_mrad"][i];
        let lines: Vec<String> = (0..3).map(|i| format!("'crystal.{}' = {{ linspace = [1, 2, 1000] }}", key(i))).collect();
        let (axes, problems) = sweep(&format!("[axes]\n{}\n", lines.join("\n")));
        assert!(problems.is_empty(), "{problems:?}");
        assert!((product(&axes).unwrap_err() - 1e9).abs() < 0.5);
    }
}
