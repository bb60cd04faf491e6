//! The network end to end on windows whose answer is known: it learns, says how sure it is, starts again to the same bytes, and refuses
//! what it does not know.

use mistilt::dcnn::{
    Architecture, Augmentation, Block, CameraNoise, DcnnError, Head, Loss, Network, Schedule, Trained, Trainer, TrainingSettings,
    reliability, train,
};
use mistilt::detection::{Camera, CameraSettings, DetectorNoise, Dose, WindowNoise};
use mistilt::numerics::seeds::Streams;
use mistilt::windows::{Normalisation, WindowSet};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::ops::ControlFlow;

const SIDE: usize = 16;
const PIXEL_PM: f64 = 25.0;

/// Windows of one perovskite cell: bright A columns at the corners, a fainter B column displaced by up to 40 pm, the whole shifted by a
/// random part of a pixel, noise of `noise` times the B column's height.
fn cells(count: usize, noise: f64, stream: u64) -> WindowSet {
    let mut random = Streams::new("test cells", 1).stream(stream);
    let mut set = WindowSet::empty(SIDE, PIXEL_PM, Normalisation::Window);
    for n in 0..count {
        let [px, py, dx, dy] = [40.0, 40.0, 0.5, 0.5].map(|most| most * (2.0 * random.random::<f64>() - 1.0));
        let middle = 0.5 * (SIDE as f64 - 1.0);
        let b = [middle + dx + px / PIXEL_PM, middle + dy + py / PIXEL_PM];
        let half = 0.5 * 396.0 / PIXEL_PM;
        let mut window: Vec<f64> = (0..SIDE * SIDE)
            .map(|i| {
                let (x, y) = ((i % SIDE) as f64, (i / SIDE) as f64);
                let peak = |cx: f64, cy: f64| (-0.5 * ((x - cx).powi(2) + (y - cy).powi(2)) / 1.6_f64.powi(2)).exp();
                let corners = [[-half, -half], [half, -half], [-half, half], [half, half]];
                let a: f64 = corners.iter().map(|c| peak(middle + dx + c[0], middle + dy + c[1])).sum();
                let draw: f64 = StandardNormal.sample(&mut random);
                2.5 * a + peak(b[0], b[1]) + noise * draw
            })
            .collect();
        let mean = window.iter().sum::<f64>() / window.len() as f64;
        for value in &mut window {
            *value -= mean;
        }
        let sigma = (window.iter().map(|v| v * v).sum::<f64>() / window.len() as f64).sqrt();
        set.values.extend(window.iter().map(|v| (v / sigma) as f32));
        set.labels.push([px as f32, py as f32]);
        set.positions_px.push([n as f64, 0.0]);
        set.corners_px.push([n as u32, 0]);
        set.cells.push([n as i32, 0]);
        set.images.push(0);
    }
    set
}

/// A small network, so that the tests take seconds.
fn architecture() -> Architecture {
    let blocks = [8, 16, 16].map(|channels| Block { channels, convolutions: 1 }).to_vec();
    Architecture { blocks, hidden: vec![16], ..Architecture::default() }
}

fn settings(epochs: usize) -> TrainingSettings {
    TrainingSettings { epochs, batch_size: 32, learning_rate: 4e-3, ..TrainingSettings::default() }
}

fn trained(settings: &TrainingSettings) -> Trained {
    train(&cells(1500, 0.05, 0), &cells(300, 0.05, 1), &architecture(), settings, 7, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn model(trained: &Trained) -> Vec<u8> {
    trained.network.to_bytes(&serde_json::json!({ "about": "test" })).unwrap()
}

#[test]
fn it_learns_the_displacement_and_how_well_it_knows_it() {
    let trained = trained(&TrainingSettings { members: 2, ..settings(16) });
    let test = cells(400, 0.05, 2);
    let predictions = trained.network.predict(&test).unwrap();
    let r = reliability(&predictions, &test.labels).unwrap();
    // The labels spread by 40/√3 = 23.1 pm.
    assert!((r.rmse_of_mean_pm - 23.1).abs() < 1.0, "{}", r.rmse_of_mean_pm);
    assert!(r.rmse_pm < 4.0, "rms error {} pm", r.rmse_pm);
    assert!(r.bias_pm.iter().all(|b| b.abs() < 0.7), "bias {:?} pm", r.bias_pm);
    let spread = r.spread.unwrap();
    assert!((0.8..1.3).contains(&spread), "error over sigma {spread}");
    assert_eq!(trained.best_epochs.len(), 2);
    // What it has not seen: far more noise than in its training.
    let foreign = cells(100, 1.0, 3);
    let check = trained.network.check_domain(&foreign).unwrap();
    let predictions = trained.network.predict(&foreign).unwrap();
    let refusal = trained.network.refuse_foreign(check.as_ref(), &predictions).unwrap_err().to_string();
    assert!(refusal.contains("disagree") || refusal.contains("noise"), "{refusal}");
    let home = trained.network.check_domain(&test).unwrap();
    assert!(home.as_ref().unwrap().beyond < 0.1, "{home:?}");
    trained.network.refuse_foreign(home.as_ref(), &trained.network.predict(&test).unwrap()).unwrap();
}

#[test]
fn a_training_that_is_killed_and_taken_up_ends_in_the_same_bytes_on_any_number_of_threads() {
    let settings = TrainingSettings { members: 2, patience: 2, noise: 0.2, schedule: Schedule::Plateau { patience: 1 }, ..settings(4) };
    let (training, validation) = (cells(200, 0.1, 4), cells(50, 0.1, 5));
    let start = || Trainer::new(&training, &validation, &architecture(), &settings, 3, None).unwrap();
    let on = |threads: usize| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let through = on(1).install(|| {
        let mut trainer = start();
        while trainer.epoch().unwrap().is_some() {}
        trainer.finish().unwrap()
    });
    let (mut checkpoint, mut epochs) = (start().checkpoint().unwrap(), 0);
    loop {
        // Every epoch in a new process, so to speak.
        let more = on(3).install(|| {
            let mut trainer = start();
            trainer.resume(&checkpoint).unwrap();
            let more = trainer.epoch().unwrap().is_some();
            checkpoint = trainer.checkpoint().unwrap();
            more
        });
        if !more {
            break;
        }
        epochs += 1;
    }
    let mut trainer = start();
    trainer.resume(&checkpoint).unwrap();
    let resumed = trainer.finish().unwrap();
    assert_eq!(epochs, through.history.len());
    assert_eq!(model(&resumed), model(&through));
    assert_eq!(resumed.history, through.history);
    // A checkpoint belongs to its training.
    let other = TrainingSettings { epochs: 5, ..settings };
    let mut trainer = Trainer::new(&training, &validation, &architecture(), &other, 3, None).unwrap();
    assert!(trainer.resume(&checkpoint).unwrap_err().to_string().contains("other settings"));
}

#[test]
fn a_model_comes_back_from_its_bytes_and_damage_is_seen() {
    let trained =
        train(&cells(64, 0.1, 6), &cells(0, 0.1, 7), &architecture(), &settings(1), 1, &mut |_| ControlFlow::Continue(())).unwrap();
    let bytes = model(&trained);
    let (network, card) = Network::from_bytes(&bytes).unwrap();
    assert_eq!((&network, card["about"].as_str()), (&trained.network, Some("test")));
    for cut in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        assert!(Network::from_bytes(&bytes[..cut]).is_err(), "cut to {cut} bytes");
    }
    let windows = WindowSet { pixel_size_pm: 30.0, ..cells(1, 0.1, 8) };
    assert!(network.predict(&windows).unwrap_err().to_string().contains("16 px of 25.000 pm"));
    assert!(network.check_pixel_size(24.0).is_ok() && network.check_pixel_size(80.0).is_err());
}

/// Windows of expected fractions of the beam, from two images.
fn fractions(count: usize, stream: u64) -> WindowSet {
    let mut set = WindowSet { normalisation: Normalisation::None, ..cells(count, 0.0, stream) };
    set.values.iter_mut().for_each(|v| *v = (0.02 * *v + 0.05).max(0.0));
    set.images.iter_mut().enumerate().for_each(|(n, image)| *image = u32::from(n >= count / 2));
    set
}

/// Cameras of two images, which count `electrons` a pixel and a tenth of that.
fn cameras(electrons: f64) -> CameraNoise {
    let camera = |electrons| {
        let detector = Some(DetectorNoise { pulse_spread: 0.4, ..DetectorNoise::default() });
        let settings = CameraSettings { dose: Some(Dose::PerPixel { electrons }), detector, ..CameraSettings::default() };
        WindowNoise::new(&Camera::new(settings).unwrap(), 0.01 * PIXEL_PM, 5).unwrap()
    };
    CameraNoise { cameras: [electrons, 0.1 * electrons].map(camera).to_vec(), dose_spread: 3.0 }
}

#[test]
fn camera_noise_drawn_anew_gives_the_same_bytes_on_any_number_of_threads_and_after_a_stop() {
    let noise = cameras(2000.0);
    let (training, validation) = (fractions(120, 11), cells(40, 0.1, 12));
    let settings = settings(3);
    let start = || Trainer::new(&training, &validation, &architecture(), &settings, 3, Some(&noise)).unwrap();
    let on = |threads: usize| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let through = on(1).install(|| {
        let mut trainer = start();
        while trainer.epoch().unwrap().is_some() {}
        trainer.finish().unwrap()
    });
    let resumed = on(3).install(|| {
        let mut trainer = start();
        trainer.epoch().unwrap();
        let checkpoint = trainer.checkpoint().unwrap();
        let mut trainer = start();
        trainer.resume(&checkpoint).unwrap();
        while trainer.epoch().unwrap().is_some() {}
        // The checkpoint of one camera is not that of another.
        let other = cameras(1000.0);
        let mut foreign = Trainer::new(&training, &validation, &architecture(), &settings, 3, Some(&other)).unwrap();
        assert!(foreign.resume(&checkpoint).unwrap_err().to_string().contains("other settings"));
        trainer.finish().unwrap()
    });
    assert_eq!(model(&resumed), model(&through));
    assert_eq!(through.network.normalisation(), Normalisation::Window);
}

/// Every window has its own image's camera, and a dose that is drawn.
#[test]
fn a_window_has_the_noise_of_its_own_image_at_a_dose_that_is_drawn() {
    let noise = cameras(2000.0);
    let streams = Streams::new("test doses", 1);
    let mean = |n: u64| {
        let mut window = vec![0.05; SIDE * SIDE];
        noise.disturb(&mut window, SIDE, u32::from(n >= 200), &mut streams.stream(n));
        window.iter().map(|v| f64::from(*v)).sum::<f64>() / (SIDE * SIDE) as f64
    };
    let means: Vec<f64> = (0..400).map(mean).collect();
    for (half, expected) in [(&means[..200], 100.0_f64), (&means[200..], 10.0)] {
        let logs: Vec<f64> = half.iter().map(|m| (m / expected).ln()).collect();
        let middle = logs.iter().sum::<f64>() / 200.0;
        let spread = (logs.iter().map(|l| (l - middle).powi(2)).sum::<f64>() / 199.0).sqrt();
        // Even over ±ln 3: its standard deviation is ln 3 / √3 = 0.634.
        assert!(middle.abs() < 4.0 * 0.634 / 200.0_f64.sqrt() && (spread - 0.634).abs() < 0.08, "{middle} {spread}");
    }
}

/// An augmentation after which the window must be normalised anew.
struct Brighter;

impl Augmentation for Brighter {
    fn key(&self) -> String {
        "brighter".into()
    }

    fn apply(&self, window: &mut [f32], _: usize, _: u32, random: &mut ChaCha8Rng) {
        for value in window {
            let draw: f32 = StandardNormal.sample(random);
            *value += 3.0 * draw + 100.0;
        }
    }
}

#[test]
fn a_camera_sees_windows_as_they_are_and_the_network_normalises_them() {
    let bare = |stream| WindowSet { normalisation: Normalisation::None, ..cells(60, 0.1, stream) };
    let (training, validation) = (bare(9), bare(10));
    let mut trainer = Trainer::new(&training, &validation, &architecture(), &settings(1), 1, Some(&Brighter)).unwrap();
    assert!(trainer.epoch().unwrap().is_some());
    let network = trainer.finish().unwrap().network;
    assert_eq!(network.normalisation(), Normalisation::Window);
    let brighter = WindowSet { values: validation.values.iter().map(|v| 5.0 * v + 2.0).collect(), ..validation.clone() };
    let far = |a: &[f32; 2], b: &[f32; 2]| (a[0] - b[0]).abs().max((a[1] - b[1]).abs());
    let pairs = network.predict(&validation).unwrap().into_iter().zip(network.predict(&brighter).unwrap());
    assert!(pairs.map(|(p, q)| far(&p.mean_pm, &q.mean_pm)).fold(0.0, f32::max) < 0.05);
}

#[test]
fn a_training_that_cannot_be_is_refused() {
    let go = &mut |_: &_| ControlFlow::Continue(());
    let few = train(&cells(5, 0.1, 0), &cells(0, 0.1, 1), &architecture(), &settings(1), 1, go);
    assert!(matches!(few, Err(DcnnError::TooFew { known: 5, .. })));
    let steep = TrainingSettings { learning_rate: 1.0, longest_gradient: 1e30, loss: Loss::MeanSquare, ..settings(30) };
    let wild = Architecture { head: Head::Mean, ..architecture() };
    let set = WindowSet { values: cells(64, 0.1, 0).values.iter().map(|v| v * 1e30).collect(), ..cells(64, 0.1, 0) };
    let diverged = train(&set, &cells(0, 0.1, 1), &wild, &steep, 1, go);
    assert!(matches!(diverged, Err(DcnnError::Diverged { .. })));
    let stopped = train(&cells(64, 0.1, 0), &cells(0, 0.1, 1), &architecture(), &settings(50), 1, &mut |_| ControlFlow::Break(()));
    assert_eq!(stopped.unwrap().history.len(), 1, "stopped after an epoch, and it is kept");
}
