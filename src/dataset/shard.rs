//! One file of a dataset: the windows or images of a run of samples, their truth, and the parameters each sample was drawn with.
//!
//! A shard names its inputs (blake3 of everything it was made from) and ends in a seal, the blake3 of all bytes before it, which HDF5
//! readers leave alone: one that is there is kept only if both are right.

use super::DatasetError;
use super::arrays::{Array, Data, Fact, Reader, digest, fault, guarded, write};
use crate::crystal::Site;
use crate::image::Image;
use crate::windows::{Normalisation, WindowSet};
use std::borrow::Cow;

/// First line of every shard, with the version of its layout.
const FORMAT: &str = "mistilt dataset 1";

/// What a shard says of itself, in the order in which it is hashed.
const FACTS: [&str; 9] =
    ["content", "first_sample", "format", "image_axes", "inputs_blake3", "normalisation", "parameter_names", "pixel_size_pm", "samples"];

/// What a shard holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Windows; `images` of the set counts the samples of the shard.
    Windows(WindowSet),
    /// One image a sample, all of one size and pixel size, each with its truth.
    Images(Vec<Image>),
}

/// What varied from sample to sample.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parameters {
    /// Keys of the study file.
    pub names: Vec<String>,
    /// One row a sample, in the order of the names; a choice among names is its place in the list.
    pub rows: Vec<Vec<f64>>,
}

/// One file.
#[derive(Debug, Clone, PartialEq)]
pub struct Shard {
    /// Number of the first sample in the dataset; the others follow.
    pub first_sample: u64,
    /// How many samples it holds; one may have left no window.
    pub samples: usize,
    /// What varied.
    pub parameters: Parameters,
    /// The data.
    pub content: Content,
    /// blake3 of all that went in, hexadecimal.
    pub inputs: String,
}

/// A shard that is there and whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VerifiedShard {
    /// Windows, or images.
    pub items: usize,
    /// Bytes of the file.
    pub bytes: usize,
    /// Pixels in a row of a window, or of an image.
    pub side_px: usize,
    /// Side of a pixel, pm.
    pub pixel_size_pm: f64,
}

impl Shard {
    /// The bytes of the HDF5 file.
    ///
    /// # Errors
    /// [`DatasetError::Sizes`] for images that differ in size, [`DatasetError::Write`] from the HDF5 library.
    pub fn to_hdf5(&self) -> Result<Vec<u8>, DatasetError> {
        let parameters: Vec<f64> = self.parameters.rows.iter().flatten().copied().collect();
        let shape = [self.parameters.rows.len(), self.parameters.names.len()];
        let mut arrays = Vec::new();
        let mut facts = vec![("format", text(FORMAT)), ("image_axes", text("x to the right, y down"))];
        match &self.content {
            Content::Windows(set) => window_arrays(set, &mut arrays, &mut facts),
            Content::Images(images) => image_arrays(images, &mut arrays, &mut facts)?,
        }
        if !self.parameters.names.is_empty() {
            let about = format!("one row a sample; columns: {}", self.parameters.names.join(", "));
            arrays.push(Array::new("parameters", &shape, about, Data::F64(parameters.into())));
        }
        // In the order in which they are found again.
        arrays.sort_by(|a, b| a.name.cmp(&b.name));
        facts.push(("parameter_names", text(&self.parameters.names.join("\n"))));
        facts.push(("first_sample", Fact::Number(self.first_sample as f64)));
        facts.push(("samples", Fact::Number(self.samples as f64)));
        facts.push(("inputs_blake3", text(&self.inputs)));
        facts.sort_by_key(|(name, _)| *name);
        facts.push(("content_blake3", text(&digest(&facts, &arrays))));
        Ok(sealed(write(&arrays, &facts)?))
    }

    /// Whether a file is the shard that `inputs` (blake3) make, whole: every byte is hashed, every array read.
    ///
    /// # Errors
    /// [`DatasetError::Shard`] says what is wrong with it.
    pub fn verify(content: Vec<u8>, inputs: &str) -> Result<VerifiedShard, DatasetError> {
        guarded(|| {
            let bytes = content.len();
            let reader = open(content)?;
            if reader.text("inputs_blake3").as_deref() != Some(inputs) {
                return Err(fault("it was made from another study, or by another version"));
            }
            let arrays = checked_arrays(&reader)?;
            let of = |name: &str| arrays.iter().find(|a| a.name == name).map(|a| a.shape.as_slice());
            let Some(&[items, _, side_px]) = of("windows").or_else(|| of("images")) else {
                return Err(fault("it holds neither windows nor images"));
            };
            Ok(VerifiedShard { items, bytes, side_px, pixel_size_pm: reader.number("pixel_size_pm").unwrap_or(f64::NAN) })
        })
    }

    /// The windows of a shard, its content checked against its hash.
    ///
    /// # Errors
    /// [`DatasetError::Shard`] for a file that is damaged, none of ours, or holds images.
    pub fn windows(content: Vec<u8>) -> Result<WindowSet, DatasetError> {
        guarded(|| {
            let reader = open(content)?;
            let arrays = checked_arrays(&reader)?;
            window_set(&reader, arrays)
        })
    }
}

fn text(value: &str) -> Fact {
    Fact::Text(value.to_owned())
}

/// The bytes with their seal behind them.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let seal = blake3::hash(&bytes);
    bytes.extend(seal.as_bytes());
    bytes
}

/// The bytes without their seal, if it is right.
fn unsealed(mut content: Vec<u8>) -> Result<Vec<u8>, DatasetError> {
    let end = content.len().saturating_sub(blake3::OUT_LEN);
    if blake3::hash(&content[..end]).as_bytes()[..] != content[end..] {
        return Err(fault("it is damaged or cut short, or no shard of a mistilt dataset"));
    }
    content.truncate(end);
    Ok(content)
}

fn open(content: Vec<u8>) -> Result<Reader, DatasetError> {
    let reader = Reader::open(unsealed(content)?)?;
    match reader.text("format").as_deref() {
        Some(FORMAT) => Ok(reader),
        Some(other) => Err(fault(format!("its format is \"{other}\", and this program knows \"{FORMAT}\""))),
        None => Err(fault("it is no shard of a mistilt dataset")),
    }
}

/// All arrays, if their hash is the one that was written.
fn checked_arrays(reader: &Reader) -> Result<Vec<Array<'static>>, DatasetError> {
    let mut names = reader.names()?;
    names.sort();
    let arrays = names.iter().map(|name| reader.array(name)).collect::<Result<Vec<_>, _>>()?;
    let facts: Vec<(&str, Fact)> = FACTS.iter().filter_map(|name| Some((*name, reader.fact(name)?))).collect();
    if reader.text("content_blake3") == Some(digest(&facts, &arrays)) {
        Ok(arrays)
    } else {
        Err(fault("its numbers are not those that were written"))
    }
}

fn window_arrays<'a>(set: &'a WindowSet, arrays: &mut Vec<Array<'a>>, facts: &mut Vec<(&'static str, Fact)>) {
    let (n, side) = (set.len(), set.size_px);
    let mut pairs = |name: &'static str, about: &'static str, data: Data<'a>| arrays.push(Array::new(name, &[n, 2], about, data));
    pairs(
        "labels_pm",
        "displacement of B from the mean of its A columns (x, y), pm; NaN where unknown",
        Data::F32(set.labels.as_flattened().into()),
    );
    pairs(
        "positions_px",
        "B column, or middle of a window on a grid (x, y), px of the sample's image",
        Data::F64(set.positions_px.as_flattened().into()),
    );
    pairs("corners_px", "top left pixel (x, y) in the image as cut", Data::U32(set.corners_px.as_flattened().into()));
    pairs("cells", "index of the cell along the two lattice vectors", Data::I32(set.cells.as_flattened().into()));
    arrays.push(Array::new(
        "sample",
        &[n],
        "sample of this shard that the window comes from, from 0",
        Data::U32(set.images.as_slice().into()),
    ));
    arrays.push(Array::new("windows", &[n, side, side], "values; rows from the top", Data::F32(set.values.as_slice().into())));
    let normalisation = serde_json::to_value(set.normalisation).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    facts.push(("content", text("windows")));
    facts.push(("pixel_size_pm", Fact::Number(set.pixel_size_pm)));
    facts.push(("normalisation", text(&normalisation)));
}

fn window_set(reader: &Reader, arrays: Vec<Array<'static>>) -> Result<WindowSet, DatasetError> {
    let normalisation = reader.text("normalisation").ok_or_else(|| fault("it holds no windows"))?;
    let normalisation: Normalisation =
        serde_json::from_value(normalisation.clone().into()).map_err(|_| fault(format!("its normalisation is \"{normalisation}\"")))?;
    let pixel_size_pm = reader.number("pixel_size_pm").filter(|v| *v > 0.0).ok_or_else(|| fault("it has no pixel size"))?;
    let mut set = WindowSet::empty(0, pixel_size_pm, normalisation);
    for array in arrays {
        match (&*array.name, &array.shape[..], array.data) {
            ("windows", &[_, h, w], Data::F32(v)) if h == w && h > 0 => (set.size_px, set.values) = (h, v.into_owned()),
            ("labels_pm", [_, 2], Data::F32(v)) => set.labels = v.as_chunks().0.to_vec(),
            ("positions_px", [_, 2], Data::F64(v)) => set.positions_px = v.as_chunks().0.to_vec(),
            ("corners_px", [_, 2], Data::U32(v)) => set.corners_px = v.as_chunks().0.to_vec(),
            ("cells", [_, 2], Data::I32(v)) => set.cells = v.as_chunks().0.to_vec(),
            ("sample", [_], Data::U32(v)) => set.images = v.into_owned(),
            _ => {}
        }
    }
    let n = set.values.len() / (set.size_px * set.size_px).max(1);
    let lengths = [set.labels.len(), set.positions_px.len(), set.corners_px.len(), set.cells.len(), set.images.len()];
    if set.size_px > 0 && lengths.iter().all(|&l| l == n) { Ok(set) } else { Err(fault("its arrays do not belong together")) }
}

/// Images one behind the other, their truth as flat lists that name the image each row belongs to.
fn image_arrays<'a>(images: &'a [Image], arrays: &mut Vec<Array<'a>>, facts: &mut Vec<(&'static str, Fact)>) -> Result<(), DatasetError> {
    let first = images.first().map_or([0; 2], |i| [i.width, i.height]);
    if let Some(other) = images.iter().map(|i| [i.width, i.height]).find(|size| *size != first) {
        return Err(DatasetError::Sizes { first, other });
    }
    let pixels: Vec<f32> = images.iter().flat_map(|i| i.data.iter().copied()).collect();
    arrays.push(Array::new("images", &[images.len(), first[1], first[0]], "rows from the top", Data::F32(pixels.into())));
    let truths = || images.iter().enumerate().filter_map(|(n, i)| Some((n as u32, i.truth.as_ref()?)));
    let columns: Vec<(u32, &crate::image::TruthColumn)> = truths().flat_map(|(n, t)| t.columns.iter().map(move |c| (n, c))).collect();
    let cells: Vec<(u32, &crate::image::TruthCell)> = truths().flat_map(|(n, t)| t.cells.iter().map(move |c| (n, c))).collect();
    let rows = columns.len();
    let places = |of: &dyn Fn(&crate::image::TruthColumn) -> [f64; 2]| -> Cow<'a, [f64]> {
        columns.iter().flat_map(|(_, c)| of(c)).collect::<Vec<_>>().into()
    };
    let mut add = |name: &'a str, shape: &[usize], about: &'a str, data: Data<'a>| arrays.push(Array::new(name, shape, about, data));
    let numbers: Vec<u32> = columns.iter().map(|c| c.0).collect();
    add("column_image", &[rows], "image of this shard the column stands in, from 0", Data::U32(numbers.into()));
    let sites: Vec<u8> = columns.iter().map(|(_, c)| u8::from(c.site == Site::B)).collect();
    add("column_site", &[rows], "0 for A, 1 for B", Data::U8(sites.into()));
    let indices: Vec<i32> = columns.iter().flat_map(|(_, c)| c.cell).collect();
    add("column_cell", &[rows, 2], "index of its cell", Data::I32(indices.into()));
    add(
        "column_entrance_px",
        &[rows, 2],
        "position at the entrance surface (x, y), px, before the scan distorted it",
        Data::F64(places(&|c| c.entrance_px)),
    );
    add(
        "column_mean_px",
        &[rows, 2],
        "mean over the thickness (x, y), px, before the scan distorted it",
        Data::F64(places(&|c| c.mean_px)),
    );
    add(
        "column_exit_px",
        &[rows, 2],
        "position at the exit surface (x, y), px, before the scan distorted it",
        Data::F64(places(&|c| c.exit_px)),
    );
    let moved: Vec<f64> = truths().flat_map(|(_, t)| (0..t.columns.len()).flat_map(|c| moved(t, c))).collect();
    add(
        "column_moved_px",
        &[rows, 2],
        "how far drift and scan distortion moved it (x, y), px, all stages together",
        Data::F64(moved.into()),
    );
    let numbers: Vec<u32> = cells.iter().map(|c| c.0).collect();
    add("cell_image", &[cells.len()], "image of this shard the cell stands in, from 0", Data::U32(numbers.into()));
    let indices: Vec<i32> = cells.iter().flat_map(|(_, c)| c.index).collect();
    add("cell_index", &[cells.len(), 2], "index of the cell", Data::I32(indices.into()));
    let shifts: Vec<f64> = cells.iter().flat_map(|(_, c)| c.shift_pm).collect();
    add(
        "cell_shift_pm",
        &[cells.len(), 2],
        "displacement of B from the mean of its A columns in the crystal (x, y), pm",
        Data::F64(shifts.into()),
    );
    facts.push(("content", text("images")));
    facts.push(("pixel_size_pm", Fact::Number(images.first().and_then(|i| i.pixel_size_pm).unwrap_or(f64::NAN))));
    Ok(())
}

fn moved(truth: &crate::image::Truth, column: usize) -> [f64; 2] {
    let moves = truth.stages.iter().filter_map(|stage| stage.displacement_px.get(column));
    moves.fold([0.0; 2], |sum, d| [sum[0] + d[0], sum[1] + d[1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Truth, TruthCell, TruthColumn, TruthStage};

    fn windows() -> Shard {
        let mut set = WindowSet::empty(4, 19.8, Normalisation::Window);
        for i in 0..5_u8 {
            set.values.extend((0..16_u8).map(|k| f32::from(k) - f32::from(i)));
            set.labels.push([f32::from(i), if i == 3 { f32::NAN } else { -1.5 }]);
            set.positions_px.push([0.25 * f64::from(i), 7.0]);
            set.corners_px.push([u32::from(i), 2]);
            set.cells.push([i32::from(i), -1]);
            set.images.push(u32::from(i / 3));
        }
        let parameters = Parameters { names: vec!["camera.dose".into(), "tilt".into()], rows: vec![vec![100.0, -2.0], vec![1e4, 3.5]] };
        Shard { first_sample: 20, samples: 2, parameters, content: Content::Windows(set), inputs: "abc".into() }
    }

    #[test]
    fn windows_come_back_bit_for_bit_and_the_same_shard_gives_the_same_bytes() {
        let shard = windows();
        let bytes = shard.to_hdf5().unwrap();
        assert_eq!(bytes, windows().to_hdf5().unwrap());
        let Content::Windows(set) = &shard.content else { unreachable!() };
        let back = Shard::windows(bytes.clone()).unwrap();
        assert_eq!(back.digest(), set.digest());
        assert_eq!(
            (&back.positions_px, &back.corners_px, &back.cells, &back.images),
            (&set.positions_px, &set.corners_px, &set.cells, &set.images)
        );
        assert_eq!(
            Shard::verify(bytes.clone(), "abc").unwrap(),
            VerifiedShard { items: 5, bytes: bytes.len(), side_px: 4, pixel_size_pm: 19.8 }
        );
        assert!(Shard::verify(bytes, "abd").unwrap_err().to_string().contains("another study"));
    }

    #[test]
    fn damage_anywhere_is_seen() {
        let bytes = windows().to_hdf5().unwrap();
        for at in (0..bytes.len()).step_by(97) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x41;
            assert!(Shard::windows(damaged).is_err(), "byte {at}");
        }
        for end in [0, 1, 100, bytes.len() / 2, bytes.len() - 1] {
            assert!(Shard::verify(bytes[..end].to_vec(), "abc").is_err(), "{end}");
        }
    }

    #[test]
    fn images_carry_their_truth_as_flat_lists() {
        let column =
            |site, x: f64| TruthColumn { site, cell: [1, 2], entrance_px: [x, 0.0], mean_px: [x + 1.0, 0.0], exit_px: [x + 2.0, 0.0] };
        let image = |v: f32| {
            let mut image = Image::new(3, 2, vec![v; 6]).unwrap().with_pixel_size_pm(20.0).unwrap();
            image.truth = Some(Truth {
                columns: vec![column(Site::A, 0.0), column(Site::B, 1.0)],
                cells: vec![TruthCell { index: [1, 2], shift_pm: [f64::from(v), 5.0] }],
                stages: ["drift", "jitter"]
                    .map(|name| TruthStage { name: name.into(), displacement_px: vec![[0.5, 0.0], [0.25, 1.0]] })
                    .into(),
            });
            image
        };
        let shard = Shard { content: Content::Images(vec![image(1.0), image(2.0)]), ..windows() };
        let bytes = shard.to_hdf5().unwrap();
        assert_eq!(Shard::verify(bytes.clone(), "abc").unwrap().items, 2);
        assert!(Shard::windows(bytes.clone()).unwrap_err().to_string().contains("no windows"));
        let reader = open(bytes).unwrap();
        assert_eq!(reader.array("images").unwrap().shape, [2, 2, 3]);
        assert_eq!(reader.array("column_image").unwrap().data, Data::U32(vec![0, 0, 1, 1].into()));
        assert_eq!(reader.array("column_site").unwrap().data, Data::U8(vec![0, 1, 0, 1].into()));
        assert_eq!(reader.array("column_moved_px").unwrap().data, Data::F64(vec![1.0, 0.0, 0.5, 2.0, 1.0, 0.0, 0.5, 2.0].into()));
        assert_eq!(reader.array("cell_shift_pm").unwrap().data, Data::F64(vec![1.0, 5.0, 2.0, 5.0].into()));
        let odd = Shard { content: Content::Images(vec![image(1.0), Image::new(2, 2, vec![0.0; 4]).unwrap()]), ..windows() };
        assert!(odd.to_hdf5().unwrap_err().to_string().contains("one size"));
    }
}
