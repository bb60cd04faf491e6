//! A slider through images: as it moves, the image, the columns found in it and their numbers change. Plain data in; the page's script draws.

use super::ReportError;
use super::image_panel::{ColumnMark, Marker};
use super::picture::{ColourMap, Pixels};
use super::raster;
use super::svg::escape;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use std::fmt::Write as _;

const FIGURE: &str = "explorer";

/// Images in a page at most: each takes some 10 kB of it.
pub const MOST_FRAMES: usize = 120;

/// Images along one axis, for every choice of some others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explorer {
    /// What to see in it, in sentences.
    pub caption: String,
    /// Name and unit of what the slider moves, such as "Specimen tilt θx (mrad)".
    pub slider: String,
    /// Its stops, as text, in order.
    pub stops: Vec<String>,
    /// Other axes, each with its choices.
    pub choices: Vec<(String, Vec<String>)>,
    /// Estimators, by name.
    pub estimators: Vec<String>,
    /// The images, all of one size.
    pub frames: Vec<Frame>,
}

/// One image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// Its stop of the slider.
    pub stop: usize,
    /// Its place among every axis' choices.
    pub choices: Vec<usize>,
    /// The image.
    pub pixels: Pixels,
    /// Where the columns truly are.
    pub truth: Vec<Marker>,
    /// What each estimator found.
    pub found: Vec<Found>,
}

/// What one estimator found in one image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The columns.
    pub markers: Vec<Marker>,
    /// Measured shift of B against A in pm, x right and y down; `None` where it could not be measured.
    pub measured_pm: Option<[f64; 2]>,
    /// True shift in pm.
    pub true_pm: [f64; 2],
}

impl Explorer {
    fn check(&self) -> Result<(), ReportError> {
        let Some(first) = self.frames.first() else {
            return Err(ReportError::Empty { figure: FIGURE, missing: "it has no images".to_owned() });
        };
        let length = |what: &str, found: usize, expected: usize| {
            let what = what.to_owned();
            if found == expected { Ok(()) } else { Err(ReportError::Length { figure: FIGURE, what, found, expected }) }
        };
        let most = "few enough for a page that opens quickly, 120";
        if self.frames.len() > MOST_FRAMES {
            let (what, found) = ("the number of images".to_owned(), self.frames.len() as f64);
            return Err(ReportError::Range { figure: FIGURE, what, found, allowed: most });
        }
        for frame in &self.frames {
            frame.pixels.check(FIGURE)?;
            length("the width of an image", frame.pixels.width, first.pixels.width)?;
            length("the height of an image", frame.pixels.height, first.pixels.height)?;
            length("the choices of an image", frame.choices.len(), self.choices.len())?;
            length("the estimators of an image", frame.found.len(), self.estimators.len())?;
        }
        Ok(())
    }

    /// The section of the page: controls that are plain HTML, and the data that the script draws. Without a script it stays hidden.
    pub(crate) fn html(&self) -> Result<String, ReportError> {
        self.check()?;
        let data = self.data()?.to_string().replace('<', "\\u003c");
        let mut controls = String::new();
        let last = self.stops.len().saturating_sub(1);
        let start = self.frames.first().map_or(0, |frame| frame.stop);
        let mut push = |arguments: std::fmt::Arguments| controls.write_fmt(arguments).expect("writing into a String cannot fail");
        let slider = escape(&self.slider);
        push(format_args!(
            "<label class=\"slider\"><span>{slider} <output></output></span>\n\
             <input type=\"range\" min=\"0\" max=\"{last}\" step=\"1\" value=\"{start}\"/></label>\n"
        ));
        for (name, choices) in &self.choices {
            push(format_args!("{}", select("choice", name, choices)));
        }
        push(format_args!("{}", select("estimator", "Estimator", &self.estimators)));
        let caption = escape(&self.caption);
        Ok(format!(
            "<section id=\"explorer\" hidden>\n<h2>Explore</h2>\n<div class=\"explorer\">\n<div class=\"stage\"><svg class=\"image\" role=\"img\">\
             <title>The simulated image with its columns</title></svg>\n<p class=\"key\"><span class=\"fitted-a\"></span>A column, found \
             <span class=\"fitted-b\"></span>B column, found <span class=\"true-a\"></span>A, true <span class=\"true-b\"></span>B, true \
             <span class=\"apparent\"></span>apparent shift × <b class=\"gain\"></b></p></div>\n<div class=\"controls\">\n{controls}\
             <table class=\"readout\"><thead></thead><tbody></tbody></table>\n<svg class=\"curve\" role=\"img\"><title>Apparent shift along the \
             slider</title></svg>\n</div>\n</div>\n<p class=\"caption\">{caption}</p>\n<script type=\"application/json\">{data}</script>\n</section>\n"
        ))
    }

    fn data(&self) -> Result<Json, ReportError> {
        let Pixels { width, height, pixel_size_pm, .. } = self.frames[0].pixels;
        let frames: Vec<Json> = self.frames.iter().map(|frame| self.frame(frame)).collect::<Result<_, _>>()?;
        Ok(json!({
            "width": width,
            "height": height,
            "pixel_pm": pixel_size_pm,
            "stops": self.stops,
            "estimators": self.estimators,
            "frames": frames,
        }))
    }

    fn frame(&self, frame: &Frame) -> Result<Json, ReportError> {
        let picture = frame.pixels.picture(ColourMap::Grey, self.limits(&frame.choices));
        let grey: Vec<u8> = picture.rgb.chunks_exact(3).map(|p| p[0]).collect();
        let bytes =
            raster::encode_grey(&grey, picture.width, picture.height).map_err(|source| ReportError::Png { figure: FIGURE, source })?;
        let found: Vec<Json> = frame
            .found
            .iter()
            .map(|f| {
                json!({ "marks": marks(&f.markers), "measured": f.measured_pm.map(|m| m.map(hundredths)), "true": f.true_pm.map(hundredths) })
            })
            .collect();
        let at: Vec<usize> = std::iter::once(frame.stop).chain(frame.choices.iter().copied()).collect();
        Ok(json!({ "at": at, "image": STANDARD.encode(bytes), "truth": marks(&frame.truth), "found": found }))
    }

    /// One contrast along the slider, so that what moves is the image and not its scale.
    fn limits(&self, choices: &[usize]) -> (f64, f64) {
        let alike = self.frames.iter().filter(|frame| frame.choices == choices).map(|frame| frame.pixels.limits());
        alike.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), (a, b)| (lo.min(a), hi.max(b)))
    }
}

fn select(class: &str, name: &str, choices: &[String]) -> String {
    let hidden = if choices.len() < 2 { " hidden" } else { "" };
    let options: Vec<String> =
        choices.iter().enumerate().map(|(i, choice)| format!("<option value=\"{i}\">{}</option>", escape(choice))).collect();
    let options = options.concat();
    format!("<label{hidden}><span>{}</span>\n<select class=\"{class}\">{options}</select></label>\n", escape(name))
}

/// Marks as `[site, x, y]`, site 0 for A and 1 for B, pixels to a hundredth.
fn marks(markers: &[Marker]) -> Vec<Json> {
    let site = |kind| u8::from(matches!(kind, ColumnMark::FittedB | ColumnMark::TrueB));
    markers.iter().map(|m| json!([site(m.kind), hundredths(m.x_px), hundredths(m.y_px)])).collect()
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explorer(stops: usize) -> Explorer {
        let frame = |stop: usize| Frame {
            stop,
            choices: vec![0],
            pixels: Pixels { values: (0..16_u16).map(|i| f32::from(i) + stop as f32).collect(), width: 4, height: 4, pixel_size_pm: 10.0 },
            truth: vec![Marker { x_px: 1.0, y_px: 2.0, kind: ColumnMark::TrueB }],
            found: vec![Found { markers: Vec::new(), measured_pm: Some([1.234_567, -2.0]), true_pm: [0.0; 2] }],
        };
        Explorer {
            caption: "What </script> does".into(),
            slider: "Tilt (mrad)".into(),
            stops: (0..stops).map(|i| i.to_string()).collect(),
            choices: vec![("Thickness (nm)".into(), vec!["10".into()])],
            estimators: vec!["</script><b>".into()],
            frames: (0..stops).map(frame).collect(),
        }
    }

    #[test]
    fn the_data_is_json_that_no_text_can_break_out_of() {
        let html = explorer(3).html().unwrap();
        assert_eq!(html.matches("</script>").count(), 1, "text closes the script");
        let data = html.split_once("application/json\">").unwrap().1.split_once("</script>").unwrap().0;
        let data: Json = serde_json::from_str(data).unwrap();
        assert_eq!(data["estimators"][0], "</script><b>");
        assert_eq!(data["frames"].as_array().unwrap().len(), 3);
        assert_eq!(data["frames"][2]["at"], json!([2, 0]));
        assert_eq!(data["frames"][0]["found"][0]["measured"], json!([1.23, -2.0]));
        assert_eq!(data["frames"][0]["truth"], json!([[1, 1.0, 2.0]]));
    }

    #[test]
    fn the_contrast_is_one_along_the_slider() {
        // The images are 0 to 15, 1 to 16 and 2 to 17: the darkest pixel of the last one is not black.
        assert_eq!(explorer(3).limits(&[0]), (0.0, 17.0));
    }

    #[test]
    fn images_of_unequal_size_and_too_many_are_refused() {
        let mut unequal = explorer(2);
        unequal.frames[1].pixels = Pixels { values: vec![1.0; 4], width: 2, height: 2, pixel_size_pm: 10.0 };
        assert!(unequal.html().unwrap_err().to_string().contains("the width of an image"));
        assert!(explorer(MOST_FRAMES + 1).html().unwrap_err().to_string().contains("number of images"));
        assert!(Explorer::default().html().unwrap_err().to_string().contains("no images"));
    }
}
