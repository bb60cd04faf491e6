//! How fast the network trains and predicts: a step on 128 windows of 32 × 32 px, and windows per second of inference, all threads.
//!
//! `scripts/bench-network.py` times PyTorch on the same network and windows beside it, in one run; times on a busy machine mean little,
//! the ratio of that run more.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mistilt::dcnn::{Architecture, Trainer, TrainingSettings};
use mistilt::numerics::seeds::Streams;
use mistilt::windows::{Normalisation, WindowSet};
use rand_distr::{Distribution, StandardNormal};
use std::hint::black_box;
use std::time::Duration;

const BATCH: usize = 128;
const SIDE: usize = 32;

/// Noise with labels: what it shows does not change the time.
fn windows(count: usize) -> WindowSet {
    let mut random = Streams::new("bench windows", 1).stream(0);
    let mut normal = || -> f32 { StandardNormal.sample(&mut random) };
    let mut set = WindowSet::empty(SIDE, 20.0, Normalisation::Window);
    for n in 0..count {
        set.values.extend((0..SIDE * SIDE).map(|_| normal()));
        set.labels.push([20.0 * normal(), 20.0 * normal()]);
        set.positions_px.push([n as f64, 0.0]);
        set.corners_px.push([n as u32, 0]);
        set.cells.push([n as i32, 0]);
        set.images.push(0);
    }
    set
}

fn network(c: &mut Criterion) {
    let mut group = c.benchmark_group("network");
    group.sample_size(20).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_millis(500));
    for name in ["small", "atomai-regressor"] {
        let architecture = Architecture::named(name).expect("it ships");
        let settings = TrainingSettings { epochs: 100_000, batch_size: BATCH, ..TrainingSettings::default() };
        let set = windows(BATCH);
        let none = WindowSet::empty(SIDE, 20.0, Normalisation::Window);
        // An epoch of one batch is one step: augmentation, forward, backward, optimiser.
        let mut trainer = Trainer::new(&set, &none, &architecture, &settings, 1, None).expect("a training");
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function(format!("training step, {name}"), |bencher| bencher.iter(|| trainer.epoch().expect("a step")));
        let trained = trainer.finish().expect("a network").network;
        let many = windows(2048);
        group.throughput(Throughput::Elements(many.len() as u64));
        group.bench_function(format!("inference, {name}"), |bencher| {
            bencher.iter(|| trained.predict(black_box(&many)).expect("predictions"));
        });
    }
    group.finish();
}

criterion_group!(benches, network);
criterion_main!(benches);
