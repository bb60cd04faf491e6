//! The eight symmetries of a square window, and what each does to a polarization: P turns with the image (x right, y down).

use serde::{Deserialize, Serialize};

/// A flip of x, then a flip of y, then an exchange of the two: the eight of them are all symmetries of the square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symmetry {
    flip_x: bool,
    flip_y: bool,
    exchange: bool,
}

impl Symmetry {
    /// How many there are.
    pub const COUNT: usize = 8;

    /// Symmetry `number`, 0 to 7; 0 does nothing. Higher numbers start again.
    #[must_use]
    pub fn number(number: usize) -> Self {
        Self { flip_x: number & 1 != 0, flip_y: number & 2 != 0, exchange: number & 4 != 0 }
    }

    /// The turned window of `side × side` values.
    pub fn turn(self, window: &[f32], side: usize, out: &mut [f32]) {
        for (y, row) in out.chunks_exact_mut(side).enumerate() {
            for (x, to) in row.iter_mut().enumerate() {
                let (x, y) = if self.exchange { (y, x) } else { (x, y) };
                let x = if self.flip_x { side - 1 - x } else { x };
                let y = if self.flip_y { side - 1 - y } else { y };
                *to = window[y * side + x];
            }
        }
    }

    /// The polarization in the turned window.
    #[must_use]
    pub fn turn_vector(self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (x, y) = (if self.flip_x { -x } else { x }, if self.flip_y { -y } else { y });
        if self.exchange { [y, x] } else { [x, y] }
    }

    /// The polarization in the window as it was, from that in the turned one.
    #[must_use]
    pub fn turn_back(self, vector: [f32; 2]) -> [f32; 2] {
        let [x, y] = self.exchanged(vector);
        [if self.flip_x { -x } else { x }, if self.flip_y { -y } else { y }]
    }

    /// Two numbers that belong to the axes and have no sign, such as variances; the same both ways.
    #[must_use]
    pub fn exchanged(self, [x, y]: [f32; 2]) -> [f32; 2] {
        if self.exchange { [y, x] } else { [x, y] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bright pixel off the middle: the vector to it must turn as the window does.
    #[test]
    fn a_vector_turns_as_the_window_does() {
        let side = 5;
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..Symmetry::COUNT {
            let symmetry = Symmetry::number(number);
            let mut window = vec![0.0; side * side];
            window[side + 4] = 1.0; // x = 4, y = 1: (2, −1) from the middle
            let mut turned = vec![0.0; side * side];
            symmetry.turn(&window, side, &mut turned);
            let at = turned.iter().position(|v| *v == 1.0).unwrap();
            let vector = [(at % side) as f32 - 2.0, (at / side) as f32 - 2.0];
            assert_eq!(symmetry.turn_vector([2.0, -1.0]), vector, "{symmetry:?}");
            assert_eq!(symmetry.turn_back(vector), [2.0, -1.0], "{symmetry:?}");
            seen.insert(at);
        }
        assert_eq!(seen.len(), 8, "eight different symmetries");
    }
}
