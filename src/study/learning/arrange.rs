//! Which network is trained on which points of a study and tested on which: groups of points that differ in one axis alone, and in each the
//! rows of a matrix.

use super::super::learning_table::LearningSettings;
use super::super::wording::named_value;
use super::super::{AxisValue, Study};

/// Points that differ in the axis `across` alone, in the order of its values; single points without such an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Column and value of the other axes.
    pub values: Vec<(String, AxisValue)>,
    /// Its points; they are the columns of its matrix.
    pub points: Vec<usize>,
    /// The networks that are tested on them.
    pub rows: Vec<Row>,
}

/// ", thickness 20 nm, defocus 5 nm": what holds for a group; empty for the only one.
pub(super) fn condition(group: &Group) -> String {
    let parts: Vec<String> = group.values.iter().map(|(name, value)| named_value(name, value)).collect();
    if parts.is_empty() { String::new() } else { format!(", {}", parts.join(", ")) }
}

/// One network.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Where it was trained.
    pub trained_at: TrainedAt,
    /// On the images of these points.
    pub points: Vec<usize>,
}

/// Where a network was trained.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainedAt {
    /// At one value of `across`.
    Value(AxisValue),
    /// At the point itself: there is no `across`.
    Itself,
    /// At all values of the axes it mixes.
    Mixed,
}

impl TrainedAt {
    /// As rows of figures and tables call it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Value(value) => value.to_string(),
            Self::Itself => "itself".to_owned(),
            Self::Mixed => "mixed".to_owned(),
        }
    }
}

/// All networks of a study.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrangement {
    /// Groups, in the order of their first points.
    pub groups: Vec<Group>,
    /// Column name of the axis across which networks are tested.
    pub across: Option<String>,
}

/// One network to train: on the images of these points, in a repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit<'a> {
    /// Indices of the points.
    pub points: &'a [usize],
    /// Repeat, from 0.
    pub repeat: u32,
}

impl Arrangement {
    /// Arranges a checked study.
    #[must_use]
    pub fn new(study: &Study, settings: &LearningSettings) -> Self {
        let index = |key: &String| study.axes.iter().position(|axis| axis.key == *key);
        let across = settings.across.as_ref().and_then(index);
        let mixed: Vec<usize> = settings.mix_over.iter().filter_map(index).collect();
        let value = |point: usize, axis: usize| &study.points()[point].values[axis].1;
        let alike = |p: usize, q: usize, but: &[usize]| (0..study.axes.len()).all(|a| but.contains(&a) || value(p, a) == value(q, a));
        let but: Vec<usize> = across.into_iter().collect();
        let mut groups: Vec<Group> = Vec::new();
        for point in 0..study.points().len() {
            // Without an axis across, every point is a group of its own: all its axes are its name.
            let group = groups.iter_mut().find(|g| !but.is_empty() && alike(g.points[0], point, &but));
            if let Some(group) = group {
                group.points.push(point);
            } else {
                let others = (0..study.axes.len()).filter(|a| !but.contains(a));
                let values = others.map(|a| (study.axes[a].column.clone(), value(point, a).clone())).collect();
                groups.push(Group { values, points: vec![point], rows: Vec::new() });
            }
        }
        let trains = |point: usize, axis: usize| {
            settings.train_at.is_empty() || value(point, axis).number().is_some_and(|v| settings.train_at.contains(&v))
        };
        for group in &mut groups {
            group.rows = match across {
                None => vec![Row { trained_at: TrainedAt::Itself, points: group.points.clone() }],
                Some(axis) => {
                    let own = group.points.iter().filter(|&&p| trains(p, axis));
                    own.map(|&p| Row { trained_at: TrainedAt::Value(value(p, axis).clone()), points: vec![p] }).collect()
                }
            };
            if !mixed.is_empty() {
                let seen = |q: usize| {
                    let at = across.and_then(|axis| value(q, axis).number());
                    settings.mix_at.is_empty() || at.is_some_and(|v| settings.mix_at.contains(&v))
                };
                let points = (0..study.points().len()).filter(|&q| seen(q) && alike(group.points[0], q, &with(&mixed, across)));
                group.rows.push(Row { trained_at: TrainedAt::Mixed, points: points.collect() });
            }
        }
        Self { groups, across: across.map(|a| study.axes[a].column.clone()) }
    }

    /// Every training of every repeat, repeat after repeat.
    #[must_use]
    pub fn units(&self, repeats: u32) -> Vec<Unit<'_>> {
        let trainings = self.trainings();
        (0..repeats).flat_map(|repeat| trainings.iter().map(move |&points| Unit { points, repeat }).collect::<Vec<_>>()).collect()
    }

    /// The trainings without repetition: lists of points, in the order of their first use.
    #[must_use]
    pub fn trainings(&self) -> Vec<&[usize]> {
        let mut out: Vec<&[usize]> = Vec::new();
        for row in self.groups.iter().flat_map(|g| &g.rows) {
            if !out.contains(&row.points.as_slice()) {
                out.push(&row.points);
            }
        }
        out
    }
}

/// The axes whose values a mixed network sees: those asked for, and the one across which it is tested.
fn with(mixed: &[usize], across: Option<usize>) -> Vec<usize> {
    mixed.iter().copied().chain(across.filter(|a| !mixed.contains(a))).collect()
}
