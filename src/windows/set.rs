//! Labelled sub-images as one block of numbers: n × size × size values, and beside each window what is known of it.

use super::{Normalisation, WindowsError};

/// Sub-images of one size, pixel size and normalisation. Every list has one entry a window.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowSet {
    /// Side of a window, px.
    pub size_px: usize,
    /// Side of its pixels, pm.
    pub pixel_size_pm: f64,
    /// What was done to the values.
    pub normalisation: Normalisation,
    /// n × size × size values: windows one after the other, each row after row from the top.
    pub values: Vec<f32>,
    /// Polarization displacement (x right, y down), pm; NaN where it is not known.
    pub labels: Vec<[f32; 2]>,
    /// What the label belongs to, in pixels of the image as it was given: the B column of a centred window, the middle of one on a grid.
    pub positions_px: Vec<[f64; 2]>,
    /// Top left pixel of the window in the image as it was cut (after resampling).
    pub corners_px: Vec<[u32; 2]>,
    /// Index of the cell: that of the B column, or of the nearest labelled one for a window on a grid.
    pub cells: Vec<[i32; 2]>,
    /// Which image it comes from, counted from 0 in the order of [`Self::append`].
    pub images: Vec<u32>,
}

impl WindowSet {
    /// A set without windows.
    #[must_use]
    pub fn empty(size_px: usize, pixel_size_pm: f64, normalisation: Normalisation) -> Self {
        Self {
            size_px,
            pixel_size_pm,
            normalisation,
            values: Vec::new(),
            labels: Vec::new(),
            positions_px: Vec::new(),
            corners_px: Vec::new(),
            cells: Vec::new(),
            images: Vec::new(),
        }
    }

    /// How many windows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The values of one window, row after row.
    #[must_use]
    pub fn window(&self, index: usize) -> &[f32] {
        let n = self.size_px * self.size_px;
        &self.values[index * n..(index + 1) * n]
    }

    /// The windows of the given indices, in their order.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let mut out = Self::empty(self.size_px, self.pixel_size_pm, self.normalisation);
        out.values.reserve_exact(indices.len() * self.size_px * self.size_px);
        for &i in indices {
            out.values.extend_from_slice(self.window(i));
            out.labels.push(self.labels[i]);
            out.positions_px.push(self.positions_px[i]);
            out.corners_px.push(self.corners_px[i]);
            out.cells.push(self.cells[i]);
            out.images.push(self.images[i]);
        }
        out
    }

    /// Indices of the windows whose label is known.
    #[must_use]
    pub fn labelled(&self) -> Vec<usize> {
        (0..self.len()).filter(|&i| self.labels[i].iter().all(|v| v.is_finite())).collect()
    }

    /// Adds the windows of other images behind these; their images are counted on.
    ///
    /// # Errors
    /// [`WindowsError::Unlike`] unless size, pixel size (to 0.1 %) and normalisation are the same.
    pub fn append(&mut self, other: &Self) -> Result<(), WindowsError> {
        let alike = self.size_px == other.size_px
            && (self.pixel_size_pm - other.pixel_size_pm).abs() <= 1e-3 * self.pixel_size_pm
            && self.normalisation == other.normalisation;
        if !alike {
            let shape = |s: &Self| (s.size_px, s.pixel_size_pm);
            return Err(WindowsError::Unlike { first: shape(self), second: shape(other) });
        }
        let first = self.images.iter().max().map_or(0, |n| n + 1);
        self.values.extend_from_slice(&other.values);
        self.labels.extend_from_slice(&other.labels);
        self.positions_px.extend_from_slice(&other.positions_px);
        self.corners_px.extend_from_slice(&other.corners_px);
        self.cells.extend_from_slice(&other.cells);
        self.images.extend(other.images.iter().map(|n| n + first));
        Ok(())
    }

    /// Middle of a window in the image as it was cut, px: the middle of its pixels' centres.
    #[must_use]
    pub fn middle_px(&self, index: usize) -> [f64; 2] {
        self.corners_px[index].map(|c| f64::from(c) + 0.5 * (self.size_px as f64 - 1.0))
    }

    /// blake3 of everything a training sees (shape, values, labels), as hexadecimal: the key of a result made from these windows.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(self.size_px as u64).to_le_bytes());
        hasher.update(&self.pixel_size_pm.to_le_bytes());
        hasher.update(&[self.normalisation as u8]);
        for value in self.values.iter().chain(self.labels.as_flattened()) {
            hasher.update(&value.to_le_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Mean and standard deviation (x, y) of the known labels, pm; `None` where there is none. The deviation is what a network must beat.
    #[must_use]
    pub fn label_statistics(&self) -> Option<([f64; 2], [f64; 2])> {
        let known = self.labelled();
        let n = known.len() as f64;
        let over = |f: &dyn Fn(usize, usize) -> f64| [0, 1].map(|axis| known.iter().map(|&i| f(i, axis)).sum::<f64>() / n);
        let mean = over(&|i, axis| f64::from(self.labels[i][axis]));
        let sd = over(&|i, axis| (f64::from(self.labels[i][axis]) - mean[axis]).powi(2)).map(f64::sqrt);
        (!known.is_empty()).then_some((mean, sd))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> WindowSet {
        let mut set = WindowSet::empty(2, 20.0, Normalisation::None);
        for i in 0..3_u8 {
            set.values.extend([f32::from(i); 4]);
            set.labels.push([f32::from(i), if i == 1 { f32::NAN } else { 2.0 }]);
            set.positions_px.push([f64::from(i); 2]);
            set.corners_px.push([u32::from(i), 0]);
            set.cells.push([i32::from(i), 1]);
            set.images.push(0);
        }
        set
    }

    #[test]
    fn selecting_and_appending_keep_windows_and_their_facts_together() {
        let set = example();
        assert_eq!(set.labelled(), [0, 2]);
        assert_eq!(set.label_statistics(), Some(([1.0, 2.0], [1.0, 0.0])));
        let mut two = set.select(&[2, 0]);
        assert_eq!((two.window(0), two.cells[1], two.middle_px(0)), (&[2.0; 4][..], [0, 1], [2.5, 0.5]));
        two.append(&set).unwrap();
        assert_eq!((two.len(), two.images.as_slice()), (5, &[0, 0, 1, 1, 1][..]));
        let finer = WindowSet { pixel_size_pm: 19.0, ..example() };
        let refusal = two.append(&finer).unwrap_err().to_string();
        assert!(refusal.contains("2 px of 20.000 pm") && refusal.contains("2 px of 19.000 pm"), "{refusal}");
    }

    #[test]
    fn the_digest_sees_values_and_labels() {
        let set = example();
        let mut other = example();
        other.values[3] += 1.0;
        assert_ne!(set.digest(), other.digest());
        let mut other = example();
        other.labels[0][1] = 3.0;
        assert_ne!(set.digest(), other.digest());
        assert_eq!(set.digest(), example().digest());
    }
}
