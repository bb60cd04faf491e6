//! Windows cut from an image: centred on B columns or on a grid, normalised and labelled, every refusal counted by reason.

use super::resample::same_size;
use super::{Kernel, LabelField, Normalisation, Placement, Reason, WindowSet, WindowSpec, WindowsError, resampled};
use crate::image::Image;
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What was cut from one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    /// The windows.
    pub set: WindowSet,
    /// How many were refused, and why.
    pub rejected: BTreeMap<Reason, usize>,
    /// Width and height of the image as it was cut, px: the frame that a [`super::Split`] divides.
    pub raster: [usize; 2],
    /// Pixels of the image as cut in one pixel of the image as given, x and y.
    pub scale: [f64; 2],
}

/// Windows of an image by `spec`, labelled by `field` through the default [`Kernel`]; `mask` is true where no window may go.
///
/// # Errors
/// As for [`Cutter::cut`].
pub fn cut(image: &Image, spec: &WindowSpec, field: Option<&LabelField>, mask: Option<&[bool]>) -> Result<Cut, WindowsError> {
    Cutter { image, spec, field, mask, kernel: Kernel::default() }.cut()
}

/// An image and how it is cut.
#[derive(Debug, Clone, Copy)]
pub struct Cutter<'a> {
    /// The image.
    pub image: &'a Image,
    /// How.
    pub spec: &'a WindowSpec,
    /// Labels, or positions alone. Without any, windows stand on a grid, their size is in px, and none has a label.
    pub field: Option<&'a LabelField>,
    /// True for pixels that no window may touch, in the order of the image's data.
    pub mask: Option<&'a [bool]>,
    /// How labels are made between columns.
    pub kernel: Kernel,
}

/// A window to be.
struct Candidate {
    corner: Result<[u32; 2], Reason>,
    position_px: [f64; 2],
    label: [f32; 2],
    cell: [i32; 2],
}

impl Cutter<'_> {
    /// Cuts.
    ///
    /// # Errors
    /// [`WindowsError`] if the image has no pixel size, the window no size that fits, or nothing at all could be cut.
    pub fn cut(&self) -> Result<Cut, WindowsError> {
        self.spec.check()?;
        let (raster, pixel_size_pm) = self.raster()?;
        let sizes = self.image.pixel_sizes_pm().ok_or(crate::image::ImageError::NoPixelSize)?;
        let scale = sizes.map(|own| if raster.pixels_alike { 1.0 } else { own / pixel_size_pm });
        let a_px = self.field.and_then(|f| f.lattice_a_px).map(|a| a * scale[0]);
        let size_px = self.spec.side_px(a_px, raster.image.width, raster.image.height, pixel_size_pm)?;
        let candidates = match self.spec.placement {
            Placement::Centred => self.centred(&raster.image, size_px, scale)?,
            Placement::Grid { step_px } => self.grid(&raster.image, size_px, step_px, scale)?,
        };
        let image_normal = raster.normal();
        let values: Vec<Result<Vec<f32>, Reason>> =
            candidates.par_iter().map(|c| c.corner.and_then(|corner| raster.window(corner, size_px, self.spec, image_normal))).collect();
        let mut set = WindowSet::empty(size_px, pixel_size_pm, self.spec.normalisation);
        let mut rejected = BTreeMap::new();
        for (candidate, window) in candidates.into_iter().zip(values) {
            match (candidate.corner, window) {
                (Ok(corner), Ok(window)) => {
                    set.values.extend(window);
                    set.labels.push(candidate.label);
                    set.positions_px.push(candidate.position_px);
                    set.corners_px.push(corner);
                    set.cells.push(candidate.cell);
                    set.images.push(0);
                }
                (Err(why), _) | (_, Err(why)) => *rejected.entry(why).or_default() += 1,
            }
        }
        let raster = [raster.image.width, raster.image.height];
        if set.is_empty() { Err(WindowsError::Empty { rejected }) } else { Ok(Cut { set, rejected, raster, scale }) }
    }

    /// The image as it is cut, and its pixel size.
    fn raster(&self) -> Result<(Raster<'_>, f64), WindowsError> {
        let wanted = match self.spec.pixel_size_pm {
            Some(pm) => pm,
            None => self.image.square_pixel_size_pm()?,
        };
        let alike = self.image.square_pixel_size_pm().is_ok_and(|own| same_size(own, wanted));
        let image = if alike { Cow::Borrowed(self.image) } else { Cow::Owned(resampled(self.image, wanted)?) };
        let mask = self.mask.map(|mask| {
            let scale = self.image.pixel_sizes_pm().map_or([1.0; 2], |own| own.map(|own| if alike { 1.0 } else { wanted / own }));
            let nearest = |i: usize, k: usize, limit: usize| ((i as f64 * scale[k]).round() as usize).min(limit - 1);
            let (w, h) = (self.image.width, self.image.height);
            let at = |i: usize| mask.get(nearest(i / image.width, 1, h) * w + nearest(i % image.width, 0, w)).copied().unwrap_or(false);
            (0..image.width * image.height).map(at).collect()
        });
        Ok((Raster { image, mask, pixels_alike: alike }, wanted))
    }

    fn centred(&self, image: &Image, size_px: usize, scale: [f64; 2]) -> Result<Vec<Candidate>, WindowsError> {
        let field = self.field.filter(|f| !f.points.is_empty()).ok_or(WindowsError::NoPositions)?;
        let limit = [image.width, image.height].map(|n| n as f64 - size_px as f64);
        let candidate = |point: &super::LabelPoint| {
            let corner = [0, 1].map(|k| (point.position_px[k] * scale[k] - 0.5 * (size_px as f64 - 1.0)).round());
            let inside = (0..2).all(|k| (0.0..=limit[k]).contains(&corner[k]));
            let known = point.vector_pm.iter().all(|v| v.is_finite());
            let corner = match (inside, known || !field.is_labelled()) {
                (false, _) => Err(Reason::Edge),
                (_, false) => Err(Reason::NoLabel),
                _ => Ok(corner.map(|c| c as u32)),
            };
            Candidate { corner, position_px: point.position_px, label: point.vector_pm.map(|v| v as f32), cell: point.cell }
        };
        Ok(field.points.iter().map(candidate).collect())
    }

    fn grid(&self, image: &Image, size_px: usize, step_px: usize, scale: [f64; 2]) -> Result<Vec<Candidate>, WindowsError> {
        let field = self.field.filter(|f| f.is_labelled());
        let places: Vec<[f64; 2]> = field.map(|f| f.points.iter().map(|p| p.position_px).collect()).unwrap_or_default();
        let label = match field {
            Some(f) => Some(f.interpolator(&places, self.kernel).ok_or(WindowsError::NoPositions)?),
            None => None,
        };
        let steps = |n: usize| (0..=n - size_px).step_by(step_px);
        let corners: Vec<[u32; 2]> = steps(image.height).flat_map(|y| steps(image.width).map(move |x| [x as u32, y as u32])).collect();
        let candidate = |corner: &[u32; 2]| {
            let position_px = [0, 1].map(|k| (f64::from(corner[k]) + 0.5 * (size_px as f64 - 1.0)) / scale[k]);
            match &label {
                None => Candidate {
                    corner: Ok(*corner),
                    position_px,
                    label: [f32::NAN; 2],
                    cell: corner.map(|c| (c as usize / step_px) as i32),
                },
                Some(label) => match label(position_px) {
                    None => Candidate { corner: Err(Reason::NoLabel), position_px, label: [f32::NAN; 2], cell: [0; 2] },
                    Some((vector, cell)) => Candidate { corner: Ok(*corner), position_px, label: vector.map(|v| v as f32), cell },
                },
            }
        };
        Ok(corners.iter().map(candidate).collect())
    }
}

/// The image as it is cut.
struct Raster<'a> {
    image: Cow<'a, Image>,
    mask: Option<Vec<bool>>,
    pixels_alike: bool,
}

impl Raster<'_> {
    /// Mean and standard deviation of the whole image.
    fn normal(&self) -> Option<(f64, f64)> {
        moments(&self.image.data)
    }

    fn window(&self, [x0, y0]: [u32; 2], size_px: usize, spec: &WindowSpec, image_normal: Option<(f64, f64)>) -> Result<Vec<f32>, Reason> {
        let rows = (0..size_px).map(|y| (y0 as usize + y) * self.image.width + x0 as usize);
        if let Some(mask) = &self.mask
            && rows.clone().any(|start| mask[start..start + size_px].contains(&true))
        {
            return Err(Reason::Masked);
        }
        let mut values: Vec<f32> = rows.flat_map(|start| &self.image.data[start..start + size_px]).copied().collect();
        let missing = values.iter().filter(|v| !v.is_finite()).count();
        if missing as f64 > spec.max_missing * values.len() as f64 {
            return Err(Reason::Missing);
        }
        let (mean, sd) = moments(&values).ok_or(Reason::Missing)?;
        if sd <= 1e-6 * mean.abs() || sd == 0.0 {
            return Err(Reason::Flat);
        }
        values.iter_mut().filter(|v| !v.is_finite()).for_each(|v| *v = mean as f32);
        let (centre, unit) = match spec.normalisation {
            Normalisation::Window => (mean, sd),
            Normalisation::Image => image_normal.ok_or(Reason::Flat)?,
            Normalisation::None => return Ok(values),
        };
        for v in &mut values {
            *v = ((f64::from(*v) - centre) / unit) as f32;
        }
        Ok(values)
    }
}

/// Mean and standard deviation of the values that are numbers.
fn moments(values: &[f32]) -> Option<(f64, f64)> {
    let there = || values.iter().filter(|v| v.is_finite()).map(|&v| f64::from(v));
    let count = there().count() as f64;
    let mean = there().sum::<f64>() / count;
    (count > 0.0).then(|| (mean, (there().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::{LabelPoint, LabelSource, WindowSize};

    /// Value 100 y + x, columns every 10 px from (12, 12).
    fn example() -> (Image, LabelField) {
        let data = (0..60 * 50).map(|i| (100 * (i / 60) + i % 60) as f32).collect();
        let image = Image::new(60, 50, data).unwrap().with_pixel_size_pm(40.0).unwrap();
        let point = |k: i32| LabelPoint {
            cell: [k % 4, k / 4],
            position_px: [12.0 + 10.0 * f64::from(k % 4) + 0.3, 12.0 + 10.0 * f64::from(k / 4) - 0.2],
            vector_pm: [f64::from(k % 4), f64::from(k / 4)],
        };
        (image, LabelField::new((0..12).map(point).collect(), LabelSource::Truth))
    }

    #[test]
    fn centred_windows_stand_on_the_nearest_pixel_and_keep_their_cell() {
        let (image, field) = example();
        let spec = WindowSpec { size: WindowSize::Pixels(5), normalisation: Normalisation::None, ..WindowSpec::default() };
        let Cut { set, rejected, .. } = cut(&image, &spec, Some(&field), None).unwrap();
        assert!(rejected.is_empty());
        assert_eq!((set.len(), set.corners_px[5], set.cells[5], set.labels[5]), (12, [20, 20], [1, 1], [1.0, 1.0]));
        // The middle of a 5 px window is the pixel nearest to the column.
        assert_eq!(set.window(5)[12], 2222.0);
        assert_eq!(set.middle_px(5), [22.0, 22.0]);
    }

    #[test]
    fn normalised_windows_have_mean_0_and_deviation_1_whatever_the_gain() {
        let (mut image, field) = example();
        let spec = WindowSpec { size: WindowSize::Lattices(1.2), ..WindowSpec::default() };
        let first = cut(&image, &spec, Some(&field), None).unwrap().set;
        assert_eq!(first.size_px, 12);
        let (mean, sd) = moments(first.window(3)).unwrap();
        assert!(mean.abs() < 1e-6 && (sd - 1.0).abs() < 1e-6);
        image.data.iter_mut().for_each(|v| *v = 3.0 * *v + 7.0);
        let second = cut(&image, &spec, Some(&field), None).unwrap().set;
        assert!(first.values.iter().zip(&second.values).all(|(a, b)| (a - b).abs() < 1e-4));
    }

    #[test]
    fn every_refusal_is_counted_by_its_reason() {
        let (mut image, mut field) = example();
        field.points[0].position_px = [1.0, 1.0];
        field.points[1].vector_pm = [f64::NAN; 2];
        image.data[12 * 60 + 32] = f32::NAN;
        let mut mask = vec![false; image.data.len()];
        mask[32 * 60 + 12] = true;
        for y in 29..36 {
            for x in 39..46 {
                image.data[y * 60 + x] = 1.0;
            }
        }
        let spec = WindowSpec { size: WindowSize::Pixels(5), ..WindowSpec::default() };
        let Cut { set, rejected, .. } = cut(&image, &spec, Some(&field), Some(&mask)).unwrap();
        let expected = [Reason::Edge, Reason::Missing, Reason::Masked, Reason::Flat, Reason::NoLabel].map(|r| (r, 1));
        assert_eq!((rejected, set.len()), (BTreeMap::from(expected), 7));
        // With patience, the hole is filled with the window's mean, which is 0 once normalised.
        let patient = cut(&image, &WindowSpec { max_missing: 0.1, ..spec }, Some(&field), None).unwrap().set;
        let window = patient.cells.iter().position(|c| *c == [2, 0]).unwrap();
        assert!(patient.window(window)[12].abs() < 1e-6);
    }

    #[test]
    fn a_grid_covers_the_image_and_interpolates_its_labels() {
        let (image, field) = example();
        let spec = WindowSpec { placement: Placement::Grid { step_px: 3 }, size: WindowSize::Pixels(9), ..WindowSpec::default() };
        let Cut { set, rejected, .. } = cut(&image, &spec, Some(&field), None).unwrap();
        assert_eq!(set.len() + rejected[&Reason::NoLabel], 18 * 14);
        // The field rises by 1 pm in 10 px from the first column.
        for (label, position) in set.labels.iter().zip(&set.positions_px) {
            assert!((f64::from(label[0]) - (position[0] - 12.3) / 10.0).abs() < 1e-5);
            assert!((f64::from(label[1]) - (position[1] - 11.8) / 10.0).abs() < 1e-5);
        }
        let all = cut(&image, &spec, None, None).unwrap().set;
        assert!(all.len() == 18 * 14 && all.labels.iter().all(|l| l[0].is_nan()));
    }

    #[test]
    fn windows_of_a_resampled_image_show_the_same_place() {
        let (image, field) = example();
        let spec = WindowSpec {
            size: WindowSize::Lattices(1.0),
            pixel_size_pm: Some(20.0),
            normalisation: Normalisation::None,
            ..WindowSpec::default()
        };
        let Cut { set, scale, raster, .. } = cut(&image, &spec, Some(&field), None).unwrap();
        assert_eq!((set.size_px, scale, raster), (20, [2.0; 2], [119, 99]));
        let i = set.cells.iter().position(|c| *c == [1, 1]).unwrap();
        let mean = set.window(i).iter().map(|&v| f64::from(v)).sum::<f64>() / 400.0;
        // The image is a plane: the mean of a window is its value at the window's middle.
        let [x, y] = set.middle_px(i).map(|m| m / 2.0);
        assert!((mean - (100.0 * y + x)).abs() < 1e-2, "{mean} at {x} {y}");
        assert!((0..2).all(|k| ([x, y][k] - set.positions_px[i][k]).abs() <= 0.26));
    }

    #[test]
    fn the_same_bytes_for_any_number_of_threads() {
        let (image, field) = example();
        let spec = WindowSpec { placement: Placement::Grid { step_px: 1 }, size: WindowSize::Pixels(8), ..WindowSpec::default() };
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| cut(&image, &spec, Some(&field), None).unwrap().set.digest())
        };
        assert_eq!(with(1), with(3));
    }
}
