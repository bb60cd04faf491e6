//! Raw pixels: number types, byte orders and the planes of a stack, decoded to f32 with every length checked first.

use super::error::FileFault;
use super::pixels::MAX_PIXELS;
use super::read::Page;

/// A real number type of an image file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    F32,
    F64,
}

impl Number {
    /// Bytes of one number.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// The type of `size` bytes that is a float, a signed or an unsigned integer.
    pub(super) fn of(kind: Kind, size: usize) -> Option<Self> {
        Some(match (kind, size) {
            (Kind::Unsigned, 1) => Self::U8,
            (Kind::Unsigned, 2) => Self::U16,
            (Kind::Unsigned, 4) => Self::U32,
            (Kind::Unsigned, 8) => Self::U64,
            (Kind::Signed, 1) => Self::I8,
            (Kind::Signed, 2) => Self::I16,
            (Kind::Signed, 4) => Self::I32,
            (Kind::Signed, 8) => Self::I64,
            (Kind::Float, 2) => Self::F16,
            (Kind::Float, 4) => Self::F32,
            (Kind::Float, 8) => Self::F64,
            _ => return None,
        })
    }

    /// One number from exactly [`Number::size`] bytes.
    pub(super) fn decode(self, bytes: &[u8], big_endian: bool) -> f64 {
        let mut b = [0; 8];
        let n = self.size().min(bytes.len());
        b[..n].copy_from_slice(&bytes[..n]);
        if big_endian {
            b[..n].reverse();
        }
        let [b0, b1, b2, b3, ..] = b;
        let (two, four) = ([b0, b1], [b0, b1, b2, b3]);
        match self {
            Self::Bool => f64::from(u8::from(b0 != 0)),
            Self::U8 => f64::from(b0),
            Self::I8 => f64::from(i8::from_le_bytes([b0])),
            Self::U16 => f64::from(u16::from_le_bytes(two)),
            Self::I16 => f64::from(i16::from_le_bytes(two)),
            Self::U32 => f64::from(u32::from_le_bytes(four)),
            Self::I32 => f64::from(i32::from_le_bytes(four)),
            Self::U64 => u64::from_le_bytes(b) as f64,
            Self::I64 => i64::from_le_bytes(b) as f64,
            Self::F16 => half::f16::from_le_bytes(two).to_f64(),
            Self::F32 => f64::from(f32::from_le_bytes(four)),
            Self::F64 => f64::from_le_bytes(b),
        }
    }
}

/// Family of a number type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unsigned,
    Signed,
    Float,
}

/// How the pixels of a stack lie in memory: pixel (x, y) of image f is number `x sx + y sy + f sf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frames {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) count: usize,
    /// `[sx, sy, sf]`, in numbers.
    pub(super) strides: [usize; 3],
}

impl Frames {
    /// A stack in C order, image by image, row by row.
    pub(super) fn row_major(width: usize, height: usize, count: usize) -> Result<Self, FileFault> {
        let frame = pixels(width as u64, height as u64)?;
        Ok(Self { width, height, count, strides: [1, width, frame] })
    }

    /// Numbers in the whole stack.
    fn total(&self) -> Option<usize> {
        self.width.checked_mul(self.height)?.checked_mul(self.count)
    }

    /// The images that `page` chooses.
    pub(super) fn chosen(&self, page: Page) -> Result<std::ops::Range<usize>, FileFault> {
        choose(page, self.count, self.width, self.height)
    }
}

/// The images of a stack that `page` chooses.
pub(super) fn choose(page: Page, count: usize, width: usize, height: usize) -> Result<std::ops::Range<usize>, FileFault> {
    match page {
        _ if count == 0 => Err(FileFault::unsupported("holds no image: the stack is empty")),
        Page::Only if count == 1 => Ok(0..1),
        Page::Only => Err(FileFault::Stack { count, width, height }),
        Page::Index(page) if page >= count => Err(FileFault::NoSuchPage { page, count }),
        Page::Index(page) => Ok(page..page + 1),
        Page::Sum => Ok(0..count),
    }
}

/// Drops axes of length 1 from a list that ends in rows and columns: all but three, then a first or last of those three (a stack of
/// one image, an image of one channel), so that a stack of line scans stays a stack.
pub(super) fn squeeze<T>(axes: &mut Vec<T>, length: impl Fn(&T) -> usize) {
    while axes.len() > 3
        && let Some(one) = axes.iter().position(|a| length(a) == 1)
    {
        axes.remove(one);
    }
    if axes.len() == 3 {
        if length(&axes[0]) == 1 {
            axes.remove(0);
        } else if length(&axes[2]) == 1 {
            axes.remove(2);
        }
    }
}

/// Pixels of an image whose sides a file claims, if within [`MAX_PIXELS`] and not empty.
pub(super) fn pixels(width: u64, height: u64) -> Result<usize, FileFault> {
    if width == 0 || height == 0 {
        return Err(FileFault::unsupported(format!("holds an empty image ({width} x {height} pixels)")));
    }
    match width.checked_mul(height).and_then(|n| usize::try_from(n).ok()) {
        Some(n) if n <= MAX_PIXELS => Ok(n),
        _ => Err(FileFault::TooLarge { width, height }),
    }
}

/// Refuses a compressed file that claims more content than any compression could have packed into it: deflate reaches 1032 : 1,
/// LZW below 4096 : 1.
pub(super) fn plausible(claimed_bytes: u64, file_bytes: usize) -> Result<(), FileFault> {
    let bound = (file_bytes as u64).saturating_mul(4096).saturating_add(1 << 16);
    if claimed_bytes > bound {
        return Err(FileFault::damaged(format!("it claims {claimed_bytes} bytes of pixels in a file of {file_bytes} bytes")));
    }
    Ok(())
}

/// The chosen image of a stack, or the sum of all, as f32 with infinities turned to NaN.
pub(super) fn gather(bytes: &[u8], number: Number, big_endian: bool, frames: &Frames, page: Page) -> Result<Vec<f32>, FileFault> {
    let n = pixels(frames.width as u64, frames.height as u64)?;
    let needed = frames.total().and_then(|t| t.checked_mul(number.size()));
    if needed.is_none_or(|needed| needed > bytes.len()) {
        let needed = needed.map_or("more than 2^64".to_owned(), |n| n.to_string());
        return Err(FileFault::damaged(format!("its pixels need {needed} bytes and only {} are there", bytes.len())));
    }
    let chosen = frames.chosen(page)?;
    let read = |frame: usize, x: usize, y: usize| {
        let [sx, sy, sf] = frames.strides;
        let at = (x * sx + y * sy + frame * sf) * number.size();
        number.decode(&bytes[at..at + number.size()], big_endian)
    };
    let mut out = Vec::with_capacity(n);
    for y in 0..frames.height {
        for x in 0..frames.width {
            out.push(pixel(chosen.clone().map(|f| read(f, x, y)).sum()));
        }
    }
    Ok(out)
}

/// A value as a pixel: infinities carry no data.
pub(super) fn pixel(value: f64) -> f32 {
    let value = value as f32;
    if value.is_finite() { value } else { f32::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_type_decodes_in_both_byte_orders() {
        let cases: [(Number, &[u8], f64); 12] = [
            (Number::Bool, &[7], 1.0),
            (Number::U8, &[200], 200.0),
            (Number::I8, &[0xfe], -2.0),
            (Number::U16, &[0x34, 0x12], 4660.0),
            (Number::I16, &[0xfe, 0xff], -2.0),
            (Number::U32, &[0, 0, 0, 0x80], 2_147_483_648.0),
            (Number::I32, &[0xfe, 0xff, 0xff, 0xff], -2.0),
            (Number::U64, &[0, 0, 0, 0, 1, 0, 0, 0], 4_294_967_296.0),
            (Number::I64, &[0xff; 8], -1.0),
            (Number::F16, &[0x00, 0x3e], 1.5),
            (Number::F32, &[0, 0, 0xc0, 0x3f], 1.5),
            (Number::F64, &[0, 0, 0, 0, 0, 0, 0xf8, 0x3f], 1.5),
        ];
        for (number, bytes, value) in cases {
            let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
            assert_eq!((number.decode(bytes, false), number.decode(&reversed, true)), (value, value), "{number:?}");
        }
    }

    #[test]
    fn strides_turn_axes_and_pages_choose() {
        // Two images of 2 x 3, stored with the image index fastest and x slowest.
        let bytes: Vec<u8> = (0..12).collect();
        let frames = Frames { width: 2, height: 3, count: 2, strides: [6, 2, 1] };
        let take = |page| gather(&bytes, Number::U8, false, &frames, page);
        assert_eq!(take(Page::Index(0)).unwrap(), [0.0, 6.0, 2.0, 8.0, 4.0, 10.0]);
        assert_eq!(take(Page::Sum).unwrap(), [1.0, 13.0, 5.0, 17.0, 9.0, 21.0]);
        assert_eq!(take(Page::Only), Err(FileFault::Stack { count: 2, width: 2, height: 3 }));
        assert_eq!(take(Page::Index(2)), Err(FileFault::NoSuchPage { page: 2, count: 2 }));
    }

    #[test]
    fn claims_beyond_the_bytes_or_the_bound_are_refused_before_any_allocation() {
        let huge = Frames { width: 1 << 14, height: 1 << 14, count: usize::MAX, strides: [1, 1 << 14, 1 << 28] };
        assert!(matches!(gather(&[0; 8], Number::F64, false, &huge, Page::Sum), Err(FileFault::Damaged(_))));
        assert!(matches!(pixels(1 << 20, 1 << 20), Err(FileFault::TooLarge { .. })));
        assert!(matches!(pixels(u64::MAX, u64::MAX), Err(FileFault::TooLarge { .. })));
        assert!(plausible(1 << 40, 100).is_err() && plausible(4096, 100).is_ok());
    }

    #[test]
    fn axes_of_length_1_fall_away_but_line_scans_stay() {
        for (axes, left) in [
            (vec![1, 4, 5], vec![4, 5]),
            (vec![4, 5, 1], vec![4, 5]),
            (vec![7, 1, 5], vec![7, 1, 5]),
            (vec![1, 1, 1, 5], vec![1, 5]),
            (vec![1, 5], vec![1, 5]),
        ] {
            let mut squeezed = axes;
            squeeze(&mut squeezed, |&n| n);
            assert_eq!(squeezed, left);
        }
    }

    #[test]
    fn infinities_become_no_data() {
        assert!(pixel(f64::INFINITY).is_nan() && pixel(1e300).is_nan() && pixel(f64::NAN).is_nan());
    }
}
