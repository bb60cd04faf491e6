//! PNG: grey, colour (luminance) and palette images of 1 to 16 bits; a transparent pixel has no data. PNG knows no pixel size.

use super::Image;
use super::bytes::{pixels, plausible};
use super::error::FileFault;
use super::read::assemble;
use std::io::Cursor;

/// Memory the decoder may use besides the pixels.
const DECODER_BYTES: usize = 64 << 20;

/// Note left on images that were in colour.
pub(super) const LUMINANCE_NOTE: &str = "colour was turned to luminance (0.299 R + 0.587 G + 0.114 B, Rec. ITU-R BT.601)";

/// Luminance of a colour; exact for greys.
pub(super) fn luminance(r: f64, g: f64, b: f64) -> f64 {
    // Grey pixels keep their value to the bit, which the weighted sum would not promise.
    if r.to_bits() == g.to_bits() && g.to_bits() == b.to_bits() { r } else { 0.299 * r + 0.587 * g + 0.114 * b }
}

/// Reads a PNG image.
pub(super) fn read(content: &[u8]) -> Result<Image, FileFault> {
    let broken = |e: ::png::DecodingError| FileFault::damaged(format!("the PNG cannot be decoded ({e})"));
    let mut decoder = ::png::Decoder::new_with_limits(Cursor::new(content), ::png::Limits { bytes: DECODER_BYTES });
    // Palettes become colours, 1 to 4 bits become 8, a transparent colour becomes alpha.
    decoder.set_transformations(::png::Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(broken)?;
    let (width, height) = reader.info().size();
    pixels(u64::from(width), u64::from(height))?;
    let (colour, depth) = reader.output_color_type();
    let size = reader.output_buffer_size().ok_or_else(|| FileFault::damaged("its size overflows"))?;
    plausible(size as u64, content.len())?;
    let mut buffer = vec![0; size];
    reader.next_frame(&mut buffer).map_err(broken)?;
    let wide = depth == ::png::BitDepth::Sixteen;
    let data = decode(&buffer, colour.samples(), wide);
    let mut image = assemble(width as usize, height as usize, data)?;
    if colour.samples() >= 3 && image_is_coloured(&buffer, colour.samples(), wide) {
        image.metadata.notes.push(LUMINANCE_NOTE.to_owned());
    }
    Ok(image)
}

/// One value a pixel from 1 to 4 samples (grey, grey + alpha, colour, colour + alpha) of 8 or 16 bits.
fn decode(buffer: &[u8], samples: usize, wide: bool) -> Vec<f32> {
    let sample = |pixel: &[u8], i: usize| {
        if wide { f64::from(u16::from_be_bytes([pixel[2 * i], pixel[2 * i + 1]])) } else { f64::from(pixel[i]) }
    };
    let value = |pixel: &[u8]| {
        let alpha = if samples.is_multiple_of(2) { sample(pixel, samples - 1) } else { 1.0 };
        let grey = if samples < 3 { sample(pixel, 0) } else { luminance(sample(pixel, 0), sample(pixel, 1), sample(pixel, 2)) };
        if alpha > 0.0 { grey as f32 } else { f32::NAN }
    };
    buffer.chunks_exact(samples * if wide { 2 } else { 1 }).map(value).collect()
}

/// Whether any pixel is not grey: screenshots of grey images are often stored in colour, and lose nothing.
fn image_is_coloured(buffer: &[u8], samples: usize, wide: bool) -> bool {
    let bytes = if wide { 2 } else { 1 };
    buffer.chunks_exact(samples * bytes).any(|p| p[..bytes] != p[bytes..2 * bytes] || p[..bytes] != p[2 * bytes..3 * bytes])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(width: u32, height: u32, colour: ::png::ColorType, depth: ::png::BitDepth, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = ::png::Encoder::new(&mut out, width, height);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        if colour == ::png::ColorType::Indexed {
            encoder.set_palette(vec![0, 0, 0, 9, 9, 9]);
        }
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        out
    }

    #[test]
    fn grey_of_1_to_16_bits_and_palettes_are_read() {
        use ::png::{BitDepth, ColorType};
        let read = |c, d, data: &[u8]| read(&encode(2, 1, c, d, data)).unwrap().data;
        assert_eq!(read(ColorType::Grayscale, BitDepth::Eight, &[3, 200]), [3.0, 200.0]);
        assert_eq!(read(ColorType::Grayscale, BitDepth::Sixteen, &[1, 0, 0xff, 0xff]), [256.0, 65535.0]);
        assert_eq!(read(ColorType::Grayscale, BitDepth::One, &[0b0100_0000]), [0.0, 255.0]);
        assert_eq!(read(ColorType::Indexed, BitDepth::Eight, &[1, 0]), [9.0, 0.0]);
    }

    #[test]
    fn colour_becomes_luminance_and_transparency_no_data() {
        use ::png::{BitDepth, ColorType};
        let rgba = encode(3, 1, ColorType::Rgba, BitDepth::Eight, &[77, 77, 77, 255, 10, 20, 30, 255, 5, 5, 5, 0]);
        let image = read(&rgba).unwrap();
        assert_eq!(image.data[0].to_bits(), 77_f32.to_bits());
        assert!((image.data[1] - 18.15).abs() < 1e-5 && image.data[2].is_nan());
        assert_eq!(image.metadata.notes, [LUMINANCE_NOTE]);
        let grey = read(&encode(1, 1, ColorType::Rgb, BitDepth::Sixteen, &[1, 2, 1, 2, 1, 2])).unwrap();
        assert_eq!((grey.data[0], grey.metadata.notes.len()), (258.0, 0));
    }

    #[test]
    fn a_claim_of_a_huge_image_is_refused() {
        let mut content = encode(1, 1, ::png::ColorType::Grayscale, ::png::BitDepth::Eight, &[1]);
        content[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        assert!(read(&content).is_err());
    }
}
