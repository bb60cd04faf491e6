//! How fast the camera is: frames of 512 × 512 px with every stage of a quick scan, and training windows of 32 × 32 px on one core.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mistilt::detection::{Camera, FrameKey, Preset, WindowNoise};
use mistilt::image::{FourierImage, Raster};
use num_complex::Complex64;
use std::hint::black_box;

/// An image of 21 × 21 coefficients, as of 300 kV and 25 mrad on a cell of 3.96 Å.
fn image() -> FourierImage {
    let mut image = FourierImage::zeros([[3.96, 0.0], [0.0, 3.96]], 10, 10);
    for (h, k) in (-10..=10).flat_map(|k| (-10..=10).map(move |h| (h, k))) {
        image.add(h, k, Complex64::new(0.05 * (-0.03 * f64::from(h * h + k * k)).exp(), 0.0));
    }
    image
}

fn frames(c: &mut Criterion) {
    let (image, raster) = (image(), Raster { origin_angstrom: [0.0; 2], pixel_angstrom: 0.2, width: 512, height: 512 });
    let mut group = c.benchmark_group("frame 512 x 512 px");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    for (name, preset) in [("ideal", Preset::None), ("registered", Preset::Registered), ("raw", Preset::Raw)] {
        let camera = Camera::preset(preset);
        group.bench_function(name, |b| b.iter(|| camera.expose(black_box(&image), raster, FrameKey::first(1))));
    }
    group.finish();
}

fn windows(c: &mut Criterion) {
    let clean = vec![0.05_f32; 32 * 32];
    let mut group = c.benchmark_group("window 32 x 32 px");
    group.throughput(Throughput::Elements(1));
    for (name, preset) in [("registered", Preset::Registered), ("raw", Preset::Raw), ("atomai", Preset::Atomai)] {
        let Ok(noise) = WindowNoise::new(&Camera::preset(preset), 0.2, 1) else { continue };
        let (mut window, mut number) = (clean.clone(), 0);
        group.bench_function(name, |b| {
            b.iter(|| {
                window.copy_from_slice(&clean);
                number += 1;
                noise.apply(number, black_box(&mut window), 32)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, frames, windows);
criterion_main!(benches);
