//! Which numbers moved between two results folders, and by how many standard errors; pm and fractions of the beam.
//!
//! Rows are matched by axes, detector and estimator, never by their order. σ is √(σA² + σB²) of what each table gives as the standard error of
//! the measured shift. Two studies with one seed share their phonons, and what they share cancels in the difference: σ is then an upper bound.

use super::RunError;
use super::store::read_provenance;
use std::collections::BTreeMap;
use std::path::Path;

/// Two tables compared.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Difference {
    /// Rows that both have.
    pub rows: usize,
    /// Numbers compared in them.
    pub numbers: usize,
    /// Rows that only the first has.
    pub only_a: usize,
    /// Rows that only the second has.
    pub only_b: usize,
    /// Numbers that are not the same; those farthest apart in σ first, then those without σ.
    pub moved: Vec<Moved>,
}

/// A number that moved.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// Axes, detector and estimator: column and value.
    pub row: Vec<(String, String)>,
    /// Column.
    pub quantity: String,
    /// In the first table; `None` where it was not measured.
    pub a: Option<f64>,
    /// In the second.
    pub b: Option<f64>,
    /// Standard error of the difference, where both tables have one.
    pub sigma: Option<f64>,
}

impl Moved {
    /// Second minus first, in the column's unit.
    #[must_use]
    pub fn change(&self) -> Option<f64> {
        Some(self.b? - self.a?)
    }

    /// The change in standard errors.
    #[must_use]
    pub fn sigmas(&self) -> Option<f64> {
        Some(self.change()? / self.sigma.filter(|s| *s > 0.0)?)
    }
}

/// A `records.csv` with what its rows are told apart by.
struct Table {
    header: Vec<String>,
    axes: Vec<String>,
    rows: Vec<csv::StringRecord>,
}

impl Table {
    fn read(folder: &Path) -> Result<Self, RunError> {
        let path = folder.join("records.csv");
        let unreadable = |error: csv::Error| RunError::disk(&path)(std::io::Error::other(error));
        let mut reader = csv::Reader::from_path(&path).map_err(unreadable)?;
        let header: Vec<String> = reader.headers().map_err(unreadable)?.iter().map(str::to_owned).collect();
        let rows = reader.records().collect::<Result<_, _>>().map_err(unreadable)?;
        let provenance = read_provenance(folder)?;
        let named = provenance.get("axes").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
        let axes = named.iter().filter_map(serde_json::Value::as_str).filter(|name| header.iter().any(|h| h == name)).map(str::to_owned);
        Ok(Self { axes: axes.collect(), header, rows })
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|h| h == name)
    }

    fn number(&self, row: &csv::StringRecord, name: &str) -> Option<f64> {
        row.get(self.column(name)?)?.parse().ok()
    }

    /// Rows by the values of some columns; an error where those do not tell rows apart.
    fn by(&self, keys: &[String], folder: &Path) -> Result<BTreeMap<Vec<String>, &csv::StringRecord>, RunError> {
        let columns: Vec<usize> = keys.iter().filter_map(|key| self.column(key)).collect();
        let mut out = BTreeMap::new();
        for row in &self.rows {
            let key = columns.iter().map(|&c| row.get(c).unwrap_or_default().to_owned()).collect();
            if out.insert(key, row).is_some() {
                return Err(RunError::NotComparable { path: folder.to_owned(), keys: keys.join(", ") });
            }
        }
        Ok(out)
    }
}

/// Whether a column holds a result to compare: the measured and the true shift and the intensity; the apparent shift is their difference. Of the
/// frames of a camera only the apparent shift is in the table.
fn is_result(column: &str) -> bool {
    column.starts_with("measured_")
        || column.starts_with("frames_apparent_")
        || column.starts_with("true_")
        || column == "mean_intensity_fraction"
        || column == "lost_fraction"
}

/// Standard error of a measured shift in one row: phonons and, in the frames of a camera, noise.
fn sigma(table: &Table, row: &csv::StringRecord, quantity: &str) -> Option<f64> {
    let frames = quantity.strip_prefix("frames_apparent_");
    let axis = frames.or(quantity.strip_prefix("measured_"))?;
    let mut parts = vec![format!("sampling_sigma_{axis}")];
    parts.extend(frames.map(|axis| format!("frames_sigma_{axis}")));
    let known: Vec<f64> = parts.iter().filter_map(|name| table.number(row, name)).filter(|s| s.is_finite()).collect();
    (!known.is_empty()).then(|| known.iter().map(|s| s * s).sum::<f64>().sqrt())
}

/// Compares the tables of two results folders.
pub fn diff(a: &Path, b: &Path) -> Result<Difference, RunError> {
    let (table_a, table_b) = (Table::read(a)?, Table::read(b)?);
    let both = |name: &String| table_b.axes.contains(name);
    let mut keys: Vec<String> = table_a.axes.iter().filter(|name| both(name)).cloned().collect();
    keys.extend(["detector".to_owned(), "estimator".to_owned()]);
    let (rows_a, rows_b) = (table_a.by(&keys, a)?, table_b.by(&keys, b)?);
    let quantities: Vec<&String> = table_a.header.iter().filter(|h| is_result(h) && table_b.column(h).is_some()).collect();
    let mut out = Difference {
        only_a: rows_a.keys().filter(|key| !rows_b.contains_key(*key)).count(),
        only_b: rows_b.keys().filter(|key| !rows_a.contains_key(*key)).count(),
        ..Difference::default()
    };
    for (key, row_a) in &rows_a {
        let Some(row_b) = rows_b.get(key) else { continue };
        out.rows += 1;
        for &quantity in &quantities {
            let (x, y) = (table_a.number(row_a, quantity), table_b.number(row_b, quantity));
            out.numbers += usize::from(x.is_some() || y.is_some());
            if x != y {
                let sigma = sigma(&table_a, row_a, quantity).zip(sigma(&table_b, row_b, quantity)).map(|(s, t)| s.hypot(t));
                let row = keys.iter().cloned().zip(key.iter().cloned()).collect();
                out.moved.push(Moved { row, quantity: quantity.clone(), a: x, b: y, sigma });
            }
        }
    }
    // One that is measured in one table alone comes first: no number of σ says how far it moved.
    let rank = |m: &Moved| match (m.change(), m.sigmas()) {
        (None, _) => f64::INFINITY,
        (_, Some(sigmas)) => sigmas.abs(),
        (Some(_), None) => -1.0,
    };
    out.moved.sort_by(|x, y| rank(y).total_cmp(&rank(x)));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(csv: &str, axes: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("records.csv"), csv).unwrap();
        std::fs::write(root.path().join("provenance.json"), serde_json::json!({ "axes": axes }).to_string()).unwrap();
        root
    }

    const HEADER: &str = "point,tilt_mrad,detector,estimator,measured_x_pm,true_x_pm,sampling_sigma_x_pm,mean_intensity_fraction\n";

    #[test]
    fn rows_meet_by_axes_and_changes_are_counted_in_sigma() {
        let a = folder(
            &format!("{HEADER}0,0,adf,gaussian,1,2,0.3,0.1\n1,5,adf,gaussian,4,2,0.3,0.1\n2,9,adf,gaussian,,2,,0.1\n"),
            &["tilt_mrad"],
        );
        let b = folder(
            &format!("{HEADER}0,9,adf,gaussian,7,2,0.4,0.1\n1,5,adf,gaussian,5,2,0.4,0.11\n2,7,adf,gaussian,1,2,0.4,0.1\n"),
            &["tilt_mrad"],
        );
        let d = diff(a.path(), b.path()).unwrap();
        assert_eq!((d.rows, d.only_a, d.only_b, d.moved.len()), (2, 1, 1, 3));
        assert_eq!((d.moved[0].a, d.moved[0].b), (None, Some(7.0)), "measured in one alone: first");
        assert_eq!(d.moved[1].row[0], ("tilt_mrad".to_owned(), "5".to_owned()));
        assert!((d.moved[1].sigmas().unwrap() - 2.0).abs() < 1e-12, "1 pm over √(0.3² + 0.4²)");
        assert_eq!((d.moved[2].quantity.as_str(), d.moved[2].sigmas()), ("mean_intensity_fraction", None));
        assert!(diff(a.path(), a.path()).unwrap().moved.is_empty());
    }

    #[test]
    fn an_axis_of_one_table_alone_must_not_mix_rows() {
        let a = folder(&format!("{HEADER}0,0,adf,gaussian,1,2,0.3,0.1\n1,5,adf,gaussian,4,2,0.3,0.1\n"), &["tilt_mrad"]);
        let b = folder(&format!("{HEADER}0,0,adf,gaussian,1,2,0.3,0.1\n"), &[]);
        let error = diff(a.path(), b.path()).unwrap_err().to_string();
        assert!(error.contains("detector, estimator"), "{error}");
    }
}
