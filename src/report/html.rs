//! One self-contained HTML page for a study: the question, the answer in numbers, figures, a slider through images, tables that sort and
//! filter, settings, provenance. Nothing is loaded from anywhere, and all but the slider stands without a script; light, dark, fit to print.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::explorer::Explorer;
use super::figure::{Figure, write_whole};
use super::svg::escape;
use super::{ReportError, style};

/// A figure in a page.
#[derive(Clone, Debug)]
pub struct FigureRef {
    /// The picture.
    pub content: FigureContent,
    /// What to see in it, in sentences; units and error bars explained.
    pub caption: String,
    /// What it shows, for readers who cannot see it.
    pub alt: String,
}

/// The picture of a figure.
#[derive(Clone, Debug)]
pub enum FigureContent {
    /// An SVG document, put into the page as it is: only what [`Figure::svg`] gave, never text from elsewhere.
    Svg(String),
    /// A PNG file's bytes.
    Png(Vec<u8>),
}

impl FigureContent {
    /// Width on paper: what the SVG states, or that of the pixels at the resolution of this program's figures.
    fn width_mm(&self) -> Option<f64> {
        match self {
            FigureContent::Svg(svg) => svg.split_once(" width=\"")?.1.split_once("mm\"")?.0.parse().ok(),
            FigureContent::Png(bytes) => {
                let width = u32::from_be_bytes(bytes.get(16..20)?.try_into().ok()?);
                Some(f64::from(width) / style::DOTS_PER_INCH * 25.4)
            }
        }
    }
}

impl FigureRef {
    /// A figure of this program, inline as SVG; its title is the alternative text.
    pub fn new(figure: &Figure, caption: impl Into<String>) -> Result<Self, ReportError> {
        Ok(Self { content: FigureContent::Svg(figure.svg()?), caption: caption.into(), alt: figure.title.clone() })
    }
}

/// A table; every cell is text as it shall stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// What it holds, in a sentence.
    pub caption: String,
    /// Headings with units.
    pub columns: Vec<String>,
    /// Rows, each as long as `columns`.
    pub rows: Vec<Vec<String>>,
}

/// Everything that stands on a page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Name of the study.
    pub title: String,
    /// The question it asks, in a sentence.
    pub question: String,
    /// The setting in a line: crystal, beam, detector; empty for none.
    pub setting: String,
    /// The answers, key sentences with numbers and their confidence.
    pub answers: Vec<String>,
    /// What the reader must not overlook: failed points, warnings.
    pub warnings: Vec<String>,
    /// Settings, name and value with unit.
    pub settings: Vec<(String, String)>,
    /// Figures in the order of reading.
    pub figures: Vec<FigureRef>,
    /// A slider through images.
    pub explorer: Option<Explorer>,
    /// Tables of results.
    pub tables: Vec<Table>,
    /// Lines of Python that open the result files; empty for none.
    pub python: String,
    /// Where the results come from: program, version, command, seeds, host, hashes.
    pub provenance: Vec<(String, String)>,
}

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// What the page may do: use what stands in it, and load nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

impl Page {
    /// The page as one HTML document.
    pub fn html(&self) -> Result<String, ReportError> {
        if self.title.trim().is_empty() {
            let missing = "it has no title; give the study a name".to_owned();
            return Err(ReportError::Empty { figure: "the page", missing });
        }
        let title = escape(&self.title);
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>{title}</h1>\n"
        );
        if !self.question.is_empty() {
            push(&mut out, format_args!("<p class=\"question\">{}</p>\n", escape(&self.question)));
        }
        if !self.setting.is_empty() {
            push(&mut out, format_args!("<p class=\"setting\">{}</p>\n", escape(&self.setting)));
        }
        self.navigation(&mut out);
        out.push_str("</header>\n");
        sentences(&mut out, "answer", "Answer", &self.answers);
        sentences(&mut out, "warnings", "Please note", &self.warnings);
        self.figures(&mut out);
        if let Some(explorer) = &self.explorer {
            out.push_str(&explorer.html()?);
        }
        for (index, table) in self.tables.iter().enumerate() {
            self::table(&mut out, index, table)?;
        }
        pairs(&mut out, "settings", "Settings", &self.settings);
        if !self.python.trim().is_empty() {
            let code = escape(self.python.trim_end());
            push(
                &mut out,
                format_args!(
                    "<section id=\"python\">\n<h2>Open the results in Python</h2>\n<pre tabindex=\"0\"><code>{code}</code></pre>\n</section>\n"
                ),
            );
        }
        pairs(&mut out, "provenance", "Provenance", &self.provenance);
        push(&mut out, format_args!("</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"));
        Ok(out)
    }

    /// Write the page; the file appears whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), ReportError> {
        write_whole(path, self.html()?.as_bytes())
    }

    /// Links to the parts of the page; the slider's waits for the script.
    fn navigation(&self, out: &mut String) {
        let parts = [
            ("figures", "Figures", !self.figures.is_empty()),
            ("explorer", "Explore", self.explorer.is_some()),
            ("table-1", "Tables", !self.tables.is_empty()),
            ("settings", "Settings", !self.settings.is_empty()),
            ("python", "Python", !self.python.trim().is_empty()),
            ("provenance", "Provenance", !self.provenance.is_empty()),
        ];
        out.push_str("<nav>");
        for (id, name, _) in parts.iter().filter(|part| part.2) {
            let waits = if *id == "explorer" { " hidden" } else { "" };
            push(out, format_args!("<a href=\"#{id}\"{waits}>{name}</a>"));
        }
        out.push_str("</nav>\n");
    }

    fn figures(&self, out: &mut String) {
        if self.figures.is_empty() {
            return;
        }
        out.push_str("<section id=\"figures\">\n<h2>Figures</h2>\n");
        for (index, figure) in self.figures.iter().enumerate() {
            let number = index + 1;
            let width = figure.content.width_mm().map_or(String::new(), |mm| format!(" style=\"--printed:{mm:.1}mm\""));
            push(out, format_args!("<figure id=\"figure-{number}\">\n<div class=\"paper\" tabindex=\"0\"{width}>\n"));
            match &figure.content {
                // The accessible name is the SVG's own <title>.
                FigureContent::Svg(svg) => out.push_str(svg),
                FigureContent::Png(bytes) => {
                    let data = STANDARD.encode(bytes);
                    push(out, format_args!("<img alt=\"{}\" src=\"data:image/png;base64,{data}\">\n", escape(&figure.alt)));
                }
            }
            let caption = escape(&figure.caption);
            push(out, format_args!("</div>\n<figcaption><b>Figure {number}.</b> {caption}</figcaption>\n</figure>\n"));
        }
        out.push_str("</section>\n");
    }
}

fn push(out: &mut String, arguments: std::fmt::Arguments) {
    out.write_fmt(arguments).expect("writing into a String cannot fail");
}

fn sentences(out: &mut String, id: &str, heading: &str, sentences: &[String]) {
    if sentences.is_empty() {
        return;
    }
    push(out, format_args!("<section id=\"{id}\">\n<h2>{heading}</h2>\n<ul>\n"));
    for sentence in sentences {
        push(out, format_args!("<li>{}</li>\n", escape(sentence)));
    }
    out.push_str("</ul>\n</section>\n");
}

fn pairs(out: &mut String, id: &str, heading: &str, pairs: &[(String, String)]) {
    if pairs.is_empty() {
        return;
    }
    push(
        out,
        format_args!(
            "<section id=\"{id}\">\n<h2>{heading}</h2>\n<div class=\"scroll\" tabindex=\"0\">\n<table class=\"pairs\">\n<tbody>\n"
        ),
    );
    for (name, value) in pairs {
        let value = escape(value);
        let value = if value.contains('\n') { format!("<pre>{value}</pre>") } else { value };
        push(out, format_args!("<tr><th scope=\"row\">{}</th><td>{value}</td></tr>\n", escape(name)));
    }
    out.push_str("</tbody>\n</table>\n</div>\n</section>\n");
}

fn table(out: &mut String, index: usize, table: &Table) -> Result<(), ReportError> {
    let expected = table.columns.len();
    if let Some((row, cells)) = table.rows.iter().enumerate().find(|(_, cells)| cells.len() != expected) {
        let what = format!("row {} of the table \"{}\"", row + 1, table.caption);
        return Err(ReportError::Length { figure: "the page", what, found: cells.len(), expected });
    }
    let (number, caption) = (index + 1, escape(&table.caption));
    push(
        out,
        format_args!(
            "<section id=\"table-{number}\" class=\"sortable\">\n<h2>Table {number}</h2>\n<div class=\"scroll\" tabindex=\"0\">\n<table>\n"
        ),
    );
    push(out, format_args!("<caption>{caption}</caption>\n<thead>\n<tr>"));
    for column in &table.columns {
        // A long name of a column may break at its joints.
        push(out, format_args!("<th scope=\"col\">{}</th>", escape(column).replace('_', "_<wbr/>")));
    }
    out.push_str("</tr>\n</thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for cell in row {
            let class = if is_number(cell) { " class=\"number\"" } else { "" };
            push(out, format_args!("<td{class}>{}</td>", escape(cell)));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n</section>\n");
    Ok(())
}

/// Numbers, also with an uncertainty, are set flush right.
fn is_number(cell: &str) -> bool {
    let cell = cell.trim();
    cell.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '−' | '+' | '.'))
        && cell.chars().all(|c| c.is_ascii_digit() || "-−+±.eE×⁻⁰¹²³⁴⁵⁶⁷⁸⁹ %".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_text_cannot_become_markup() {
        let evil = "<script>alert('x')</script> & \"quoted\"".to_owned();
        let page = Page {
            title: evil.clone(),
            question: evil.clone(),
            setting: evil.clone(),
            answers: vec![evil.clone()],
            warnings: vec![evil.clone()],
            settings: vec![(evil.clone(), evil.clone())],
            figures: vec![FigureRef { content: FigureContent::Png(vec![1, 2, 3]), caption: evil.clone(), alt: evil.clone() }],
            tables: vec![Table { caption: evil.clone(), columns: vec![evil.clone()], rows: vec![vec![evil.clone()]] }],
            python: evil.clone(),
            provenance: vec![(evil.clone(), evil)],
            explorer: None,
        };
        let html = page.html().unwrap();
        assert_eq!(html.matches("<script").count(), 1, "the page's own script and no other");
        assert!(!html.contains("alert('x')"));
        assert_eq!(html.matches("&lt;script&gt;").count(), 16);
        assert!(!html.contains("http://") && !html.contains("https://"), "the page refers to something outside");
    }

    #[test]
    fn ragged_tables_and_nameless_pages_are_refused() {
        let table = Table { caption: "shifts".into(), columns: vec!["a".into(), "b".into()], rows: vec![vec!["1".into()]] };
        let page = Page { title: "t".into(), tables: vec![table], ..Page::default() };
        let error = page.html().unwrap_err().to_string();
        assert_eq!(error, "the page: row 1 of the table \"shifts\" has 1 values where 2 are needed");
        assert!(Page::default().html().unwrap_err().to_string().contains("no title"));
    }

    #[test]
    fn numbers_are_told_from_words() {
        for cell in ["−3.6", "12 ± 0.4", "1e-3", "+0.5", "98 %"] {
            assert!(is_number(cell), "{cell}");
        }
        for cell in ["2-D Gaussian", "", "ok", "−", "3 nm"] {
            assert_eq!(is_number(cell), cell == "−", "{cell}");
        }
    }
}
