//! Sample figures from invented data, checked as files; `MISTILT_KEEP_FIGURES=FOLDER` keeps them so that one can look at them.

use std::path::PathBuf;

use super::{
    Arrow, ColumnMark, Figure, Histograms, ImagePanel, ImageRow, Legend, LineChart, MapCell, MapData, MapStyle, Marker, Panel, Parity,
    Pixels, Row, Series, Spread, Width,
};
use super::{FigureContent, FigureRef, Page, Table};

/// The folder of the samples, and its keeper.
fn folder() -> (PathBuf, Option<tempfile::TempDir>) {
    if let Some(kept) = std::env::var_os("MISTILT_KEEP_FIGURES") {
        let kept = PathBuf::from(kept);
        std::fs::create_dir_all(&kept).unwrap();
        (kept, None)
    } else {
        let folder = tempfile::tempdir().unwrap();
        (folder.path().to_owned(), Some(folder))
    }
}

/// Deterministic noise of unit variance, roughly.
pub(crate) fn noise(seed: u64) -> f64 {
    let mut sum = 0.0;
    for k in 0..12_u64 {
        let mut z = seed.wrapping_mul(12).wrapping_add(k).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        sum += (z >> 11) as f64 / (1_u64 << 53) as f64;
    }
    sum - 6.0
}

/// Save, and check what every figure must be: a PNG with many colours, an SVG that holds the texts, the same bytes twice.
pub(crate) fn check(figure: &Figure, stem: &str, texts: &[&str]) {
    let (folder, _keeper) = folder();
    let saved = figure.save(&folder, stem).unwrap();
    let png = std::fs::read(&saved.png).unwrap();
    assert_eq!(png, figure.png().unwrap(), "PNG bytes differ between two drawings");
    let mut reader = png::Decoder::new(std::io::Cursor::new(&png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert!((f64::from(info.width) - figure.size_mm().0 / 25.4 * 300.0).abs() <= 0.5, "not 300 dpi");
    let colours: std::collections::BTreeSet<[u8; 3]> = pixels.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect();
    assert!(colours.len() > 40, "only {} colours: a blank figure?", colours.len());
    let ink = pixels.chunks_exact(3).filter(|p| p.iter().any(|&c| c < 250)).count() as f64 / (pixels.len() / 3) as f64;
    assert!(ink > 0.01, "only {ink} of the sheet is inked");
    let svg = std::fs::read_to_string(&saved.svg).unwrap();
    assert_eq!(svg, figure.svg().unwrap(), "SVG bytes differ between two drawings");
    assert_well_formed(&svg);
    for text in texts {
        assert!(svg.contains(text), "the SVG does not hold \"{text}\"");
    }
    let mut drawn = svg.lines().filter(|line| !line.starts_with("<image") && !line.starts_with("<text"));
    assert!(!drawn.any(|line| line.contains("NaN") || line.contains("inf")), "a number in the SVG is not finite");
}

/// Tags nest and close, attributes are quoted: enough of XML for the files this room writes.
pub(crate) fn assert_well_formed(xml: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = xml;
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "a bare > in text");
        let end = rest[start..].find('>').expect("a tag that never ends") + start;
        let tag = &rest[start + 1..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "unbalanced quotes in <{tag}>");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "</{name}> closes nothing");
        } else if !tag.ends_with('/') {
            open.push(tag.split([' ', '\n']).next().unwrap());
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}

fn tilt_series(label: &str, pm_per_mrad: f64, curve: f64, seed: u64) -> Series {
    let x: Vec<f64> = (-5..=5).map(|i| f64::from(i) * 2.0).collect();
    let y = x.iter().enumerate().map(|(i, t)| pm_per_mrad * t + curve * t * t * t + 0.12 * noise(seed * 31 + i as u64)).collect();
    let spread = Spread::Bars((0..x.len()).map(|i| 0.15 + 0.25 * noise(seed * 77 + i as u64).abs()).collect());
    Series { label: label.into(), x, y, spread, line: true, markers: true, dashed: false }
}

pub(crate) fn tilt_chart() -> LineChart {
    let row = |axis: &str, factor: f64, first: u64| Row {
        y_label: format!("apparent B − A shift, {axis} (pm)"),
        panels: [10, 20, 30, 40]
            .iter()
            .zip(first..)
            .map(|(&nm, seed)| Panel {
                title: if axis == "x" { format!("{nm} nm thick") } else { String::new() },
                series: vec![
                    tilt_series("intensity maximum", -0.42 * factor, 0.0002, 4 * seed),
                    tilt_series("2-D Gaussian", -0.68 * factor - 0.004 * f64::from(nm), 0.0012, 4 * seed + 1),
                    tilt_series("joint A + B fit", -0.31 * factor, 0.0, 4 * seed + 2),
                    tilt_series("centre of mass", -0.81 * factor + 0.01 * f64::from(nm), 0.0, 4 * seed + 3),
                ],
            })
            .collect(),
    };
    LineChart {
        title: "Apparent B − A shift against specimen tilt, by thickness and estimator".into(),
        x_label: "specimen tilt along x (mrad)".into(),
        rows: vec![row("x", 1.0, 0), row("y", 0.06, 10)],
        ..LineChart::default()
    }
}

#[test]
fn tilt_chart_of_four_estimators() {
    check(&tilt_chart().draw().unwrap(), "tilt", &["specimen tilt along x (mrad)", "2-D Gaussian", "40 nm thick", "−10"]);
}

#[test]
fn legend_at_the_right() {
    let mut chart = LineChart { legend: Legend::Right, share_y: false, ..tilt_chart() };
    chart.rows.iter_mut().for_each(|row| row.panels.truncate(2));
    check(&chart.draw().unwrap(), "tilt_right", &["centre of mass"]);
}

#[test]
fn single_column_band_with_logarithmic_axis() {
    let x: Vec<f64> = (0..13).map(|i| 10f64.powf(2.0 + 0.33 * f64::from(i))).collect();
    let series = |label: &str, scale: f64, dashed: bool| Series {
        label: label.into(),
        y: x.iter().map(|dose| scale * 400.0 / dose.sqrt()).collect(),
        spread: if dashed { Spread::None } else { Spread::Band(x.iter().map(|dose| 0.2 * scale * 400.0 / dose.sqrt()).collect()) },
        x: x.clone(),
        line: true,
        markers: !dashed,
        dashed,
    };
    let chart = LineChart {
        title: "Precision against dose".into(),
        x_label: "dose (e⁻ Å⁻²)".into(),
        rows: vec![Row {
            y_label: "σ of B − A shift (pm)".into(),
            panels: vec![Panel {
                title: String::new(),
                series: vec![series("2-D Gaussian", 1.3, false), series("DCNN, 64 px", 0.8, false), series("Cramér–Rao bound", 0.5, true)],
            }],
        }],
        width: Width::Single,
        panel_height_mm: 48.0,
        x_scale: super::Scale::Log10,
        y_scale: super::Scale::Log10,
        letters: false,
        legend: Legend::Above,
        ..LineChart::default()
    };
    check(&chart.draw().unwrap(), "dose", &["dose (e⁻ Å⁻²)", "Cramér–Rao bound", "10⁴"]);
}

#[test]
fn empty_and_mismatched_charts_say_so() {
    let mut chart = tilt_chart();
    for row in &mut chart.rows {
        for panel in &mut row.panels {
            panel.series.iter_mut().for_each(|series| series.y.fill(f64::NAN));
        }
    }
    let error = chart.draw().unwrap_err().to_string();
    assert!(error.starts_with("line chart has nothing to draw: no point has a finite x and y"), "{error}");
    let mut chart = tilt_chart();
    chart.rows[0].panels[0].series[0].y.pop();
    assert_eq!(chart.draw().unwrap_err().to_string(), "line chart: y of \"intensity maximum\" has 10 values where 11 are needed");
    assert!(LineChart::default().draw().is_err());
}

/// A field of perovskite cells, its columns leaning with tilt; cells are `cell` pixels wide.
pub(crate) fn lattice_image(cells: usize, cell: usize, shift_px: f64, seed: u64) -> (Pixels, Vec<Marker>, Vec<Arrow>) {
    let size = cells * cell;
    let (width, pitch) = (size, cell as f64);
    let mut values = vec![0.0; width * size];
    let (mut markers, mut arrows) = (Vec::new(), Vec::new());
    for row in 0..=cells {
        for column in 0..=cells {
            let a = [column as f64 * pitch + 3.0, row as f64 * pitch + 3.0];
            let b = [a[0] + 0.5 * pitch + shift_px, a[1] + 0.5 * pitch + 0.06 * pitch];
            for (place, peak, width_px) in [(a, 1.0, 0.13 * pitch), (b, 0.45, 0.12 * pitch)] {
                splat(&mut values, size, place, peak, width_px);
            }
            let sites = [(a, ColumnMark::FittedA), (b, ColumnMark::FittedB)];
            markers.extend(sites.map(|(p, kind)| Marker { x_px: p[0], y_px: p[1], kind }));
            let truth = Marker { x_px: b[0] - shift_px, y_px: b[1], kind: ColumnMark::TrueB };
            markers.push(truth);
            arrows.push(Arrow { x_px: b[0], y_px: b[1], dx_pm: shift_px * 10.0, dy_pm: 24.0 });
        }
    }
    for (index, value) in values.iter_mut().enumerate() {
        *value += 0.03 * noise(seed + index as u64) as f32 + 0.1;
    }
    (Pixels { values, width, height: size, pixel_size_pm: 395.0 / pitch }, markers, arrows)
}

fn splat(values: &mut [f32], size: usize, place: [f64; 2], peak: f64, width_px: f64) {
    for y in 0..size {
        for x in 0..size {
            let square = (x as f64 - place[0]).powi(2) + (y as f64 - place[1]).powi(2);
            if square < 25.0 * width_px * width_px {
                values[y * size + x] += (peak * (-0.5 * square / (width_px * width_px)).exp()) as f32;
            }
        }
    }
}

#[test]
fn images_at_three_tilts() {
    let panels = [-10.0, 0.0, 10.0].map(|tilt| {
        let (pixels, markers, arrows) = lattice_image(4, 32, -0.2 * tilt, (tilt + 50.0) as u64 * 100_000);
        let title = format!("specimen tilt {tilt:.0} mrad").replace('-', "−");
        ImagePanel { title, pixels, markers, arrows }
    });
    let row = ImageRow {
        title: "ADF images at three tilts with the fitted columns".into(),
        panels: panels.to_vec(),
        intensity_label: Some("fraction of the beam".into()),
        ..ImageRow::default()
    };
    check(&row.draw().unwrap(), "images", &["0.5 nm", "A column, fitted", "x right, y down", "B − mean A", "specimen tilt −10 mrad"]);
    let single = ImageRow { panels: vec![panels[1].clone()], width: Width::Single, ..row };
    check(&single.draw().unwrap(), "image_single", &["B column, fitted"]);
    assert!(ImageRow::default().draw().unwrap_err().to_string().contains("no image was given"));
}

/// A vortex and a domain wall, on an image of 24 × 18 cells.
fn sample_map() -> (MapData, Vec<MapCell>) {
    let (cells_x, cells_y, pitch) = (24, 18, 16);
    let mut pixels = Pixels { values: Vec::new(), width: cells_x * pitch, height: cells_y * pitch, pixel_size_pm: 395.0 / pitch as f64 };
    let peak = |x: f64, y: f64, size: f64| (-(x * x + y * y) / (2.0 * size * size)).exp();
    for y in 0..pixels.height {
        for x in 0..pixels.width {
            let (u, v) = ((x % pitch) as f64 - 8.0, (y % pitch) as f64 - 8.0);
            let corner = peak(8.0 - u.abs(), 8.0 - v.abs(), 2.4);
            pixels.values.push((corner + 0.45 * peak(u, v, 2.2) + 0.04 * noise((y * pixels.width + x) as u64)) as f32);
        }
    }
    let (mut cells, mut truth) = (Vec::new(), Vec::new());
    for row in 0..cells_y {
        for column in 0..cells_x {
            let (x, y) = (column as f64 * 16.0 + 8.0, row as f64 * 16.0 + 8.0);
            let (u, v) = (column as f64 - 6.0, row as f64 - 8.5);
            let (px, py) = if column < 14 { (-v * 5.0, u * 5.0) } else { (24.0 * ((row as f64 / 18.0) * 12.0).sin(), 24.0) };
            let size = px.hypot(py).max(1e-9);
            let (px, py) = (px * size.min(40.0) / size, py * size.min(40.0) / size);
            let seed = (row * 100 + column) as u64;
            let sigma = 2.0 + column as f64 * 0.1 + 0.3 * noise(seed + 999).abs();
            let corners_px = [[x - 8.0, y - 8.0], [x + 8.0, y - 8.0], [x + 8.0, y + 8.0], [x - 8.0, y + 8.0]];
            let cell =
                MapCell { x_px: x, y_px: y, corners_px, px_pm: px, py_pm: py, sigma_pm: sigma, resolved: (row + 7 * column) % 61 != 5 };
            truth.push(cell);
            cells.push(MapCell { px_pm: px + 3.6 + sigma * noise(seed), py_pm: py + sigma * noise(seed + 5000), ..cell });
        }
    }
    (MapData { pixels, cells }, truth)
}

#[test]
fn maps_of_a_vortex() {
    let (map, truth) = sample_map();
    let style = MapStyle { title: "Polarization map".into(), ..MapStyle::default() };
    check(&map.colour_wheel(&style).unwrap(), "map_wheel", &["radius 50 pm", "x right, y down", "2 nm"]);
    check(&map.arrows(&style).unwrap(), "map_arrows", &["displacement", "x right, y down"]);
    check(&map.uncertainty(&style).unwrap(), "map_sigma", &["σ of the displacement (pm)"]);
    check(&map.difference(&truth, &style).unwrap(), "map_difference", &["ΔP along x", "difference (pm)"]);
    let blind = MapData { cells: map.cells.iter().map(|cell| MapCell { resolved: false, ..*cell }).collect(), ..map };
    assert!(blind.colour_wheel(&style).unwrap_err().to_string().contains("no cell is resolved; check the pixel size"));
}

#[test]
fn distributions_of_displacements() {
    let (map, truth) = sample_map();
    let histograms = Histograms {
        title: "Histograms".into(),
        px_pm: map.cells.iter().map(|cell| cell.px_pm).collect(),
        py_pm: map.cells.iter().map(|cell| cell.py_pm).collect(),
        width: Width::Double,
        ..Histograms::default()
    };
    check(&histograms.draw().unwrap(), "histograms", &["shift in x, right (pm)", "skewness"]);
    check(&Histograms { width: Width::Single, ..histograms }.draw().unwrap(), "histograms_single", &["median"]);
    let pairs = |of: fn(&MapCell) -> f64| truth.iter().zip(&map.cells).map(|(t, m)| (of(t), of(m))).collect();
    let parity = Parity {
        title: "Measured against true".into(),
        x_pm: pairs(|cell| cell.px_pm),
        y_pm: pairs(|cell| cell.py_pm),
        truth_label: "true displacement".into(),
        measured_label: "fitted displacement".into(),
        width: Width::Double,
    };
    check(&parity.draw().unwrap(), "parity", &["rms error", "true displacement (pm)"]);
    assert!(Parity::default().draw().is_err() && Histograms::default().draw().is_err());
}

#[test]
fn page_of_a_tilt_study() {
    let (map, _) = sample_map();
    let map = map.colour_wheel(&MapStyle { title: "Polarization map".into(), ..MapStyle::default() }).unwrap();
    let row = |values: [&str; 5]| values.map(String::from).to_vec();
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let page = Page {
        title: "Specimen tilt and apparent polarization of BiFeO₃".into(),
        question: "How many picometres of B − A shift does a mis-tilt of a few milliradians fake in an ADF image?".into(),
        answers: vec![
            "The fitted shift changes by −0.42 ± 0.03 pm per mrad (95 % confidence) between 10 and 40 nm.".into(),
            "At 10 mrad the apparent shift along the tilt is −4.1 ± 0.3 pm; the crystal has none.".into(),
        ],
        warnings: vec!["2 of 44 points failed: the outer detector angle exceeds the band limit.".into()],
        settings: [("Beam energy", "300 kV"), ("Convergence semi-angle", "25 mrad"), ("Detector", "70-115 mrad"), ("Source size", "0.8 Å")]
            .map(pair)
            .to_vec(),
        figures: vec![
            FigureRef::new(&tilt_chart().draw().unwrap(), "Apparent B − A shift against tilt. Bars are the phonon sampling error, one σ.")
                .unwrap(),
            FigureRef { content: FigureContent::Png(map.png().unwrap()), caption: "A map, as PNG.".into(), alt: "colour wheel map".into() },
        ],
        tables: vec![Table {
            caption: "Slope of the apparent shift, with 95 % confidence intervals.".into(),
            columns: row(["estimator", "thickness (nm)", "slope x (pm/mrad)", "slope y (pm/mrad)", "configurations"]),
            rows: vec![
                row(["2-D Gaussian", "10", "−0.72 ± 0.04", "0.01 ± 0.03", "18"]),
                row(["maximum", "10", "−0.41 ± 0.02", "0.00 ± 0.02", "18"]),
            ],
        }],
        python: "import pandas as pd\n\ntable = pd.read_csv(\"results.csv\")\nprint(table.groupby(\"estimator\").mean(numeric_only=True))"
            .into(),
        provenance: [("Program", "mistilt 0.1.0"), ("Seed", "20260101"), ("Study file", "blake3 3f1c…")].map(pair).to_vec(),
        ..Page::default()
    };
    let (folder, _keeper) = folder();
    let path = folder.join("report.html");
    page.save(&path).unwrap();
    let html = std::fs::read_to_string(&path).unwrap();
    assert_eq!(html, page.html().unwrap(), "page differs between two runs");
    let outside = html.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "");
    assert!(!outside.contains("http") && !outside.contains("url("), "the page is not self-contained");
    let body = &html[html.find("<body>").unwrap()..html.find("<script>").unwrap()];
    let closed: Vec<&str> = body.lines().chain(["</body>"]).filter(|line| !line.starts_with("<img")).collect();
    assert_well_formed(&closed.join("\n"));
    for text in ["<h2>Answer</h2>", "−0.42 ± 0.03 pm per mrad", "Figure 2.", "read_csv", "blake3"] {
        assert!(html.contains(text), "{text}");
    }
}
