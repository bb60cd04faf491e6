//! Ground truth that travels with an image: true columns (px), true shifts of the cells (pm) and the displacement of each stage (px).

use super::ImageError;
use crate::crystal::Site;

/// What an analysis of an image should have found. Pixel coordinates as in [`super::Image`]: (0, 0) is the centre of the top left
/// pixel, x right, y down. Columns and cells are joined by the cell index (a, b).
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// The cation columns.
    pub columns: Vec<TruthColumn>,
    /// The unit cells that lie wholly in the image.
    pub cells: Vec<TruthCell>,
    /// What each stage of the imaging (drift, scan distortion, ...) did to the columns, in the order it happened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<TruthStage>,
}

/// One cation column: a tilted column has another place at each depth.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TruthColumn {
    /// A or B.
    pub site: Site,
    /// Index (a, b) of the cell whose corner (A) or centre (B) it is.
    pub cell: [i32; 2],
    /// Position at the entrance surface, px.
    pub entrance_px: [f64; 2],
    /// Mean position over the thickness, px.
    pub mean_px: [f64; 2],
    /// Position at the exit surface, px.
    pub exit_px: [f64; 2],
}

/// One unit cell: four A columns around a B column.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TruthCell {
    /// Index (a, b).
    pub index: [i32; 2],
    /// True displacement of the B column from the mean of its four A columns in the crystal, free of mis-tilt and of every
    /// distortion, pm, image axes.
    pub shift_pm: [f64; 2],
}

/// The displacement field of one stage of the imaging, at the columns.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TruthStage {
    /// Name of the stage ("drift").
    pub name: String,
    /// How far it moved each column, px, in the order of [`Truth::columns`].
    pub displacement_px: Vec<[f64; 2]>,
}

impl Truth {
    /// Checks that every number is finite and every stage has one displacement a column.
    ///
    /// # Errors
    /// [`ImageError::Truth`] names the first entry that is wrong.
    pub fn validate(&self) -> Result<(), ImageError> {
        self.fault().map_or(Ok(()), |reason| Err(ImageError::Truth { reason }))
    }

    /// What is wrong with it, in words.
    pub(super) fn fault(&self) -> Option<String> {
        let finite = |v: &[f64; 2]| v.iter().all(|x| x.is_finite());
        for (i, c) in self.columns.iter().enumerate() {
            if ![c.entrance_px, c.mean_px, c.exit_px].iter().all(finite) {
                return Some(format!("column {i} has a position that is not a number"));
            }
        }
        for (i, c) in self.cells.iter().enumerate() {
            if !finite(&c.shift_pm) {
                return Some(format!("cell {i} has a shift that is not a number"));
            }
        }
        for stage in &self.stages {
            let (have, want) = (stage.displacement_px.len(), self.columns.len());
            if have != want {
                return Some(format!("stage `{}` has {have} displacements for {want} columns", stage.name));
            }
            if !stage.displacement_px.iter().all(finite) {
                return Some(format!("stage `{}` has a displacement that is not a number", stage.name));
            }
        }
        None
    }

    /// The columns of one site.
    pub fn columns_of(&self, site: Site) -> impl Iterator<Item = &TruthColumn> {
        self.columns.iter().filter(move |c| c.site == site)
    }

    /// The cell of an index; a search, so build a map for many.
    #[must_use]
    pub fn cell(&self, index: [i32; 2]) -> Option<&TruthCell> {
        self.cells.iter().find(|c| c.index == index)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::image) fn example() -> Truth {
        let column = |site, cell, x: f64| TruthColumn {
            site,
            cell,
            entrance_px: [x, 1.5],
            mean_px: [x + 0.1, 1.5],
            exit_px: [x + 0.2, 1.5 + 1.0 / 3.0],
        };
        Truth {
            columns: vec![column(Site::A, [0, 0], 0.5), column(Site::B, [0, -1], 1.25)],
            cells: vec![TruthCell { index: [0, -1], shift_pm: [23.9, -1e-17] }],
            stages: vec![TruthStage { name: "drift".into(), displacement_px: vec![[0.0, 0.25], [0.0, -0.125]] }],
        }
    }

    #[test]
    fn json_gives_the_same_truth_back() {
        let truth = example();
        let text = serde_json::to_string(&truth).unwrap();
        assert!(text.contains(r#""site":"a""#) && text.contains(r#""index":[0,-1]"#), "{text}");
        assert_eq!(serde_json::from_str::<Truth>(&text).unwrap(), truth);
        assert_eq!(truth.cell([0, -1]).map(|c| c.shift_pm), Some([23.9, -1e-17]));
        assert_eq!(truth.columns_of(Site::B).count(), 1);
    }

    #[test]
    fn numbers_that_are_none_and_stages_of_the_wrong_length_are_named() {
        let mut truth = example();
        truth.cells[0].shift_pm[1] = f64::NAN;
        assert!(truth.validate().unwrap_err().to_string().contains("cell 0"));
        let mut truth = example();
        truth.stages[0].displacement_px.pop();
        assert!(truth.validate().unwrap_err().to_string().contains("stage `drift` has 1 displacements for 2 columns"));
    }
}
