//! Conditional axes: `when` names the values of slower axes under which an axis varies; elsewhere it is idle.

use super::axes::{self, Axis, AxisValue};
use super::check;
use super::error::Problem;
use super::overrides;
use super::tree::{Node, Value};

/// Whether an axis varies at a point whose slower axes are set: all that it depends on vary there and have one of the values asked for.
pub(super) fn holds(axis: &Axis, axes: &[Axis], point: &[Option<usize>]) -> bool {
    axis.when.iter().all(|(other, values)| point[*other].is_some_and(|i| values.contains(&axes[*other].values[i])))
}

/// Reads the conditions, each with the index of its axis, once groups are known.
pub(super) fn resolve(axes: &mut [Axis], conditions: &[(usize, Node)], problems: &mut Vec<Problem>) {
    for (own, node) in conditions {
        let Value::Table(entries) = &node.value else {
            let help = "Give the values under which the axis varies: `when = { \"simulation.phonons\" = true }`.";
            problems.push(Problem::at(
                &node.place,
                format!("`when` needs a table, and this is {}.", node.value.kind()),
                "not a table",
                help,
            ));
            continue;
        };
        let found: Vec<_> = entries.iter().filter_map(|(key, values)| condition(axes, *own, key, values, problems)).collect();
        axes[*own].when = found;
    }
    for i in 0..axes.len() {
        if let Some(first) = axes[..i].iter().find(|other| other.group == axes[i].group && other.when != axes[i].when) {
            let message = format!("`{}` and `{}` walk together and have different conditions.", first.key, axes[i].key);
            problems.push(Problem::at(&axes[i].place, message, "another `when`", "Give both the same `when`, or none."));
        }
    }
}

/// One axis that another depends on, and the values asked of it.
fn condition(axes: &[Axis], own: usize, key: &str, node: &Node, problems: &mut Vec<Problem>) -> Option<(usize, Vec<AxisValue>)> {
    let Some(index) = axes.iter().position(|axis| axis.key == key) else {
        let help = match check::nearest(key, axes.iter().map(|axis| axis.key.as_str())) {
            Some(meant) => format!("Did you mean \"{meant}\"?"),
            None => "Name a key that stands under [sweep.axes].".to_owned(),
        };
        problems.push(Problem::at(&node.key, format!("`when` names `{key}`, which is no axis."), "no axis", help));
        return None;
    };
    let (axis, own) = (&axes[index], &axes[own]);
    if axis.group >= own.group {
        let message = format!("`{}` cannot depend on `{key}`, which does not vary more slowly.", own.key);
        problems.push(Problem::at(&node.key, message, "not slower", format!("Put `{key}` above `{}` under [sweep.axes].", own.key)));
        return None;
    }
    let wanted = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let before = problems.len();
    if let Some(leaf) = axes::axis_leaf(key) {
        for item in wanted {
            check::value(item, leaf, key, &[], problems);
        }
    }
    let values: Vec<AxisValue> = axis.values.iter().filter(|value| wanted.iter().any(|item| value.is(&item.value))).cloned().collect();
    // An override may leave an axis without the value that another waits for; a study file should not.
    if values.is_empty() && problems.len() == before && axis.place.source.name != overrides::SOURCE {
        let said: Vec<String> = axis.values.iter().map(ToString::to_string).collect();
        let message = format!("`when` waits for a value that the axis `{key}` never has: `{}` would never vary.", own.key);
        problems.push(Problem::at(&node.place, message, "never so", format!("It is {}.", said.join(", "))));
    }
    Some((index, values))
}
