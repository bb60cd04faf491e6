//! A person's table of labels: position of each B column in px, displacement in pm, as CSV with a header.

use super::{LabelPoint, WindowsError};

/// Rows a table may have: a 16384 x 16384 image of cells 8 px wide has 4 million.
const MAX_ROWS: u64 = 1 << 22;

/// Names a column may have: the plain one, and that of the tables this program writes.
const NAMES: [[&str; 2]; 6] = [
    ["x_px", "centre_x_px"],
    ["y_px", "centre_y_px"],
    ["px_pm", "shift_x_pm"],
    ["py_pm", "shift_y_pm"],
    ["cell_a", "index_a"],
    ["cell_b", "index_b"],
];

/// Reads the table; rows whose vector is empty are positions without a label.
pub(super) fn read(table: impl std::io::Read) -> Result<Vec<LabelPoint>, WindowsError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(table);
    let header = reader.headers().map_err(|e| fault(1, e.to_string()))?.clone();
    let place = |names: [&str; 2]| header.iter().position(|h| names.contains(&h));
    let [x, y, px, py, a, b] = NAMES.map(place);
    let missing: Vec<&str> = NAMES.iter().zip([x, y, px, py]).filter(|(_, at)| at.is_none()).map(|(names, _)| names[0]).collect();
    let (Some(x), Some(y), Some(px), Some(py)) = (x, y, px, py) else {
        return Err(fault(1, format!("the header lacks {}; it needs x_px, y_px, px_pm, py_pm", missing.join(", "))));
    };
    // The cells of `mistilt polarization` are told by the middle of their A columns; B stands where the shift, in px, leads.
    let shift_px = (header.get(x) == Some("centre_x_px")).then(|| ["shift_x_px", "shift_y_px"].map(|n| header.iter().position(|h| h == n)));
    let mut points = Vec::new();
    for (number, row) in reader.records().enumerate() {
        let row = row.map_err(|e| fault(e.position().map_or(0, csv::Position::line), e.to_string()))?;
        let line = row.position().map_or(0, csv::Position::line);
        if number as u64 >= MAX_ROWS {
            return Err(fault(line, format!("the table is longer than {MAX_ROWS} rows")));
        }
        let number = |at: usize| row.get(at).unwrap_or_default();
        let finite = |at: usize| {
            let text = number(at);
            text.parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(|| fault(line, format!("\"{text}\" is no number")))
        };
        let vector = |at: usize| if number(at).is_empty() { Ok(f64::NAN) } else { finite(at) };
        let mut position_px = [finite(x)?, finite(y)?];
        if let Some([Some(sx), Some(sy)]) = shift_px {
            position_px = [position_px[0] + finite(sx)?, position_px[1] + finite(sy)?];
        }
        let vector_pm = [vector(px)?, vector(py)?];
        let cell = match (a, b) {
            (Some(a), Some(b)) => [whole(number(a), line)?, whole(number(b), line)?],
            // Cells that nobody counted are counted by their row.
            _ => [points.len() as i32, 0],
        };
        points.push(LabelPoint { cell, position_px, vector_pm });
    }
    if points.is_empty() {
        return Err(fault(2, "the table has a header and no rows"));
    }
    Ok(points)
}

fn whole(text: &str, line: u64) -> Result<i32, WindowsError> {
    text.parse().map_err(|_| fault(line, format!("\"{text}\" is no index of a cell, a whole number")))
}

fn fault(line: u64, reason: impl Into<String>) -> WindowsError {
    WindowsError::Csv { line, reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_table_is_read_with_holes_in_its_vectors() {
        let text = "# measured by hand\nx_px, y_px, px_pm, py_pm\n10.5, 3, 20, -4\n22.5, 3, ,\n";
        let points = read(text.as_bytes()).unwrap();
        assert_eq!(points[0], LabelPoint { cell: [0, 0], position_px: [10.5, 3.0], vector_pm: [20.0, -4.0] });
        assert!(points[1].vector_pm[0].is_nan() && points[1].cell == [1, 0]);
    }

    #[test]
    fn our_own_cells_are_read_and_b_stands_beside_the_middle() {
        let text = "index_a,index_b,centre_x_px,centre_y_px,shift_x_px,shift_y_px,shift_x_pm,shift_y_pm\n3,-1,100,50,1.5,-0.5,30,-10\n";
        let points = read(text.as_bytes()).unwrap();
        assert_eq!(points, [LabelPoint { cell: [3, -1], position_px: [101.5, 49.5], vector_pm: [30.0, -10.0] }]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let cases = [
            ("x_px,y_px\n1,2\n", "lacks px_pm, py_pm"),
            ("x_px,y_px,px_pm,py_pm\n1,2,3,4\n1,two,3,4\n", "line 3"),
            ("x_px,y_px,px_pm,py_pm\n1,2,inf,4\n", "\"inf\" is no number"),
            ("x_px,y_px,px_pm,py_pm\n1,2,3\n", "line 2"),
            ("x_px,y_px,px_pm,py_pm\n", "no rows"),
            ("x_px,y_px,px_pm,py_pm,cell_a,cell_b\n1,2,3,4,0.5,0\n", "no index of a cell"),
            ("", "the header lacks"),
        ];
        for (text, part) in cases {
            let refusal = read(text.as_bytes()).unwrap_err().to_string();
            assert!(refusal.contains(part), "{refusal}");
        }
    }
}
