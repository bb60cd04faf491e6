//! Every kernel against a scalar twin in f64, at odd sizes, with poisoned outputs and the threads of a block in three orders.

use super::host::{HostCard, HostDriver, Kernels, Order};
use super::kernels_or_skip;
use mistilt::multislice::cuda::{Argument, Driver, Launch, Memory, Queue, Stages, roots};
use mistilt::numerics::fft::Fft2;
use num_complex::Complex64;
use rand::RngExt;
use std::f64::consts::{PI, TAU};
use std::sync::Arc;

pub(super) const ORDERS: [Order; 3] = [Order::Forward, Order::Backward, Order::Shuffled(7)];
const NX: usize = 25;
const NY: usize = 18;
const N: usize = NX * NY;

/// A queue of a make-believe card, and what it was given.
pub(super) struct Bench {
    queue: Box<dyn Queue>,
}

impl Bench {
    pub(super) fn new(kernels: &Arc<Kernels>, order: Order) -> Self {
        let mut card = HostCard::new(kernels);
        card.order = order;
        Self { queue: HostDriver(Arc::new(card)).queue().unwrap() }
    }

    pub(super) fn put<T: bytemuck::NoUninit>(&mut self, values: &[T]) -> Memory {
        let memory = self.empty::<T>(values.len());
        self.queue.upload(&memory, bytemuck::cast_slice(values)).unwrap();
        memory
    }

    /// Poisoned memory.
    pub(super) fn empty<T>(&mut self, count: usize) -> Memory {
        self.queue.allocate((count * size_of::<T>()).max(16)).unwrap()
    }

    pub(super) fn get<T: bytemuck::Pod>(&mut self, memory: &Memory, count: usize) -> Vec<T> {
        let mut out = vec![T::zeroed(); count];
        self.queue.download(memory, 0, bytemuck::cast_slice_mut(&mut out)).unwrap();
        out
    }

    pub(super) fn launch(&mut self, kernel: &'static str, grid: [usize; 2], block: [usize; 2], shared: usize, arguments: &[Argument<'_>]) {
        let (grid, block) = ([grid[0], grid[1], 1], [block[0], block[1], 1]);
        self.queue.launch(&Launch { kernel, definitions: "", grid, block, shared, arguments }).unwrap();
    }
}

fn int(n: usize) -> Argument<'static> {
    Argument::Int(n as i32)
}

fn uniform(stream: u64, n: usize) -> Vec<f64> {
    let mut rng = mistilt::numerics::seeds::Streams::new("mistilt tests of kernels", 1).stream(stream);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn complex(stream: u64, n: usize) -> Vec<[f32; 2]> {
    uniform(stream, 2 * n).chunks(2).map(|c| [c[0] as f32, c[1] as f32]).collect()
}

fn wide([re, im]: [f32; 2]) -> Complex64 {
    Complex64::new(f64::from(re), f64::from(im))
}

fn signed(i: usize, n: usize) -> f64 {
    if 2 * i < n { i as f64 } else { i as f64 - n as f64 }
}

/// The largest distance from the twin; NaN, from poison, is infinitely far.
fn far(found: &[[f32; 2]], twin: &[Complex64]) -> f64 {
    assert_eq!(found.len(), twin.len());
    found.iter().zip(twin).map(|(f, t)| (wide(*f) - t).norm()).fold(0.0, |m, d| if d.is_nan() { f64::INFINITY } else { f64::max(m, d) })
}

#[test]
fn phases_of_atoms_far_outside_the_cell_keep_their_digits() {
    let kernels = kernels_or_skip!("phases");
    for order in ORDERS {
        let mut bench = Bench::new(kernels, order);
        // The last place is thousands of cells away; the y axis has a Nyquist line.
        let (places, weights) = ([[0.3, -0.7], [12.25, 3.5], [-4_321.123_456_7, 1_234.567_89]], [1.0_f32, 0.25, 0.5]);
        let (px, py) = (bench.empty::<[f32; 2]>(3 * NX), bench.empty::<[f32; 2]>(3 * NY));
        let (p, w) = (bench.put(&places), bench.put(&weights));
        let arguments =
            [Argument::Memory(&px), Argument::Memory(&py), Argument::Memory(&p), Argument::Memory(&w), int(NX), int(NY), int(3)];
        // Two block rows for three atoms: the kernel loops over the rest.
        bench.launch("phases", [1, 2], [64, 1], 0, &arguments);
        let factor = |i: usize, n: usize, u: f64| {
            let z = Complex64::cis(-TAU * (signed(i, n) * u).fract());
            if 2 * i == n { Complex64::new(z.re, 0.0) } else { z }
        };
        let x: Vec<_> = places.iter().flat_map(|p| (0..NX).map(|i| factor(i, NX, p[0]))).collect();
        let y: Vec<_> = places.iter().zip(weights).flat_map(|(p, w)| (0..NY).map(move |i| factor(i, NY, p[1]) * f64::from(w))).collect();
        assert!(far(&bench.get(&px, 3 * NX), &x) < 1e-7);
        assert!(far(&bench.get(&py, 3 * NY), &y) < 1e-7);
    }
}

#[test]
fn potentials_of_an_odd_number_of_slices() {
    let kernels = kernels_or_skip!("potential");
    for order in ORDERS {
        let mut bench = Bench::new(kernels, order);
        let tables: Vec<f32> = uniform(1, 2 * N).iter().map(|v| *v as f32).collect();
        let (px, py) = (complex(2, 4 * NX), complex(3, 4 * NY));
        // Three slices of 2, 0 and 2 atoms.
        let (element, first) = ([0_i32, 1, 1, 0], [0_i32, 2, 2, 4]);
        let out = bench.empty::<[f32; 2]>(2 * N);
        let memories = [bench.put(&tables), bench.put(&px), bench.put(&py), bench.put(&element), bench.put(&first)];
        let mut arguments = vec![Argument::Memory(&out)];
        arguments.extend(memories.iter().map(Argument::Memory));
        arguments.extend([int(NX), int(NY), int(3)]);
        bench.launch("potential", [N.div_ceil(64), 2], [64, 1], 0, &arguments);
        let slice = |s: usize, i: usize| -> Complex64 {
            (first[s]..first[s + 1])
                .map(|a| a as usize)
                .map(|a| wide(px[a * NX + i % NX]) * wide(py[a * NY + i / NX]) * f64::from(tables[element[a] as usize * N + i]))
                .sum()
        };
        let twin: Vec<_> = (0..2 * N).map(|j| if j < N { slice(0, j) + Complex64::i() * slice(1, j) } else { slice(2, j - N) }).collect();
        assert!(far(&bench.get(&out, 2 * N), &twin) < 1e-6);
    }
}

#[test]
fn gratings_of_phases_up_to_a_nucleus() {
    let kernels = kernels_or_skip!("grating");
    for order in ORDERS {
        let mut bench = Bench::new(kernels, order);
        // Up to 40 rad, more than σV reaches at a heavy nucleus.
        let v: Vec<[f32; 2]> = complex(4, 2 * N).iter().map(|c| c.map(|x| 40.0 * x)).collect();
        let (out, input) = (bench.empty::<[f32; 2]>(3 * N), bench.put(&v));
        bench.launch("grating", [N.div_ceil(64), 3], [64, 1], 0, &[Argument::Memory(&out), Argument::Memory(&input), int(N), int(3)]);
        let twin: Vec<_> = (0..3 * N).map(|j| Complex64::cis(f64::from(v[j / N / 2 * N + j % N][j / N % 2]))).collect();
        assert!(far(&bench.get(&out, 3 * N), &twin) < 1e-6);
    }
}

#[test]
fn the_cut_takes_what_passes_and_zero_elsewhere() {
    let kernels = kernels_or_skip!("cut");
    for order in ORDERS {
        let mut bench = Bench::new(kernels, order);
        let fine_n = 4 * N + 3;
        let fine = complex(5, 2 * fine_n);
        let from: Vec<i32> = (0..N).map(|i| if i % 3 == 1 { -1 } else { ((i * 7) % fine_n) as i32 }).collect();
        let pass: Vec<f32> = uniform(6, N).iter().map(|v| *v as f32).collect();
        let out = bench.empty::<[f32; 2]>(2 * N);
        let memories = [bench.put(&fine), bench.put(&from), bench.put(&pass)];
        let mut arguments = vec![Argument::Memory(&out)];
        arguments.extend(memories.iter().map(Argument::Memory));
        arguments.extend([int(N), int(fine_n), int(2)]);
        bench.launch("cut", [N.div_ceil(64), 1], [64, 1], 0, &arguments);
        let one = |j: usize| match from[j % N] {
            -1 => Complex64::default(),
            at => wide(fine[j / N * fine_n + at as usize]) * f64::from(pass[j % N]),
        };
        assert!(far(&bench.get(&out, 2 * N), &(0..2 * N).map(one).collect::<Vec<_>>()) < 1e-7);
    }
}

#[test]
fn plane_waves_and_probes_stand_where_they_should() {
    let kernels = kernels_or_skip!("initialise");
    for order in ORDERS {
        let mut bench = Bench::new(kernels, order);
        let positions = [0_i32, 7, N as i32 - 1];
        let (out, list) = (bench.empty::<[f32; 2]>(3 * N), bench.put(&positions));
        let arguments = [Argument::Memory(&out), Argument::Memory(&list), int(N), int(3)];
        bench.launch("plane_waves", [N.div_ceil(64), 2], [64, 1], 0, &arguments);
        let twin: Vec<_> = (0..3 * N).map(|j| Complex64::new(f64::from(u8::from(j % N == positions[j / N] as usize)), 0.0)).collect();
        assert!(far(&bench.get(&out, 3 * N), &twin) == 0.0);

        let (aperture, places) = (complex(8, N), [[0.0, 0.0], [151.3, -77.9]]);
        let (k0, b1, b2) = ([0.031, -0.017], [0.251, 0.004], [-0.003, 0.262]);
        let (a, p, out) = (bench.put(&aperture), bench.put(&places), bench.empty::<[f32; 2]>(2 * N));
        let mut arguments = vec![Argument::Memory(&out), Argument::Memory(&a), Argument::Memory(&p), int(NX), int(NY)];
        arguments.extend([k0, b1, b2].iter().flatten().map(|v| Argument::Double(*v)));
        arguments.push(int(2));
        bench.launch("probes", [N.div_ceil(64), 1], [64, 1], 0, &arguments);
        let one = |j: usize| {
            let (i, r) = (j % N, places[j / N]);
            let q = [0, 1].map(|c| k0[c] + signed(i % NX, NX) * b1[c] + signed(i / NX, NY) * b2[c]);
            wide(aperture[i]) * Complex64::cis(-TAU * (q[0] * r[0] + q[1] * r[1]))
        };
        assert!(far(&bench.get(&out, 2 * N), &(0..2 * N).map(one).collect::<Vec<_>>()) < 1e-6);
    }
}

#[test]
fn propagators_keep_phase_over_long_distances_and_columns_may_be_few() {
    let kernels = kernels_or_skip!("propagator");
    for order in ORDERS {
        let mut bench = Bench::new(kernels, order);
        let pass: Vec<f32> = (0..N).map(|i| if i % 5 == 0 { 0.0 } else { 1.0 }).collect();
        let (columns, rows): (Vec<i32>, Vec<i32>) = (vec![0, 3, -2, -12], (0..NY).rev().map(|i| signed(i, NY) as i32).collect());
        let (k0, b1, b2, wavelength, tilt, distances) =
            ([0.03, -0.02], [0.25, 0.01], [-0.01, 0.26], 0.0197, [0.011, -0.007], [1.98, 396.5]);
        let count = columns.len() * NY;
        let out = bench.empty::<[f32; 2]>(2 * count);
        let memories = [bench.put(&pass), bench.put(&columns), bench.put(&rows), bench.put(&distances)];
        let mut arguments = vec![Argument::Memory(&out)];
        arguments.extend(memories.iter().map(Argument::Memory));
        arguments.extend([int(columns.len()), int(NX), int(NY)]);
        arguments.extend([k0, b1, b2].iter().flatten().map(|v| Argument::Double(*v)));
        arguments.extend([wavelength, tilt[0], tilt[1]].map(Argument::Double));
        arguments.extend([Argument::Float(0.5), int(2)]);
        bench.launch("propagator", [count.div_ceil(64), 1], [64, 1], 0, &arguments);
        let one = |j: usize| {
            let (i, z) = (j % count, distances[j / count]);
            let (h, k) = (columns[i % columns.len()], rows[i / columns.len()]);
            let q = [0, 1].map(|c| k0[c] + f64::from(h) * b1[c] + f64::from(k) * b2[c]);
            let phase = PI * z * (2.0 * (q[0] * tilt[0] + q[1] * tilt[1]) - wavelength * (q[0] * q[0] + q[1] * q[1]));
            let at = k.rem_euclid(NY as i32) as usize * NX + h.rem_euclid(NX as i32) as usize;
            Complex64::from_polar(0.5 * f64::from(pass[at]), phase)
        };
        assert!(far(&bench.get(&out, 2 * count), &(0..2 * count).map(one).collect::<Vec<_>>()) < 1e-7);
    }
}

#[test]
fn a_product_touches_every_wave_and_nothing_else() {
    let kernels = kernels_or_skip!("multiply");
    for order in ORDERS {
        let mut bench = Bench::new(kernels, order);
        let (waves, table) = (complex(9, 4 * N), complex(10, N));
        let (w, t) = (bench.put(&waves), bench.put(&table));
        bench.launch("multiply", [N.div_ceil(64), 2], [64, 1], 0, &[Argument::Memory(&w), Argument::Memory(&t), int(N), int(3)]);
        let twin: Vec<_> = (0..4 * N).map(|j| wide(waves[j]) * if j < 3 * N { wide(table[j % N]) } else { 1.0.into() }).collect();
        assert!(far(&bench.get(&w, 4 * N), &twin) < 1e-6);
    }
}

#[test]
fn detectors_sum_in_f64_and_in_one_order() {
    let kernels = kernels_or_skip!("detect");
    let mut bytes = Vec::new();
    for order in ORDERS {
        let mut bench = Bench::new(kernels, order);
        let waves = complex(11, 3 * N);
        // Rings of 301, 0 and 5 points.
        let positions: Vec<i32> = (0..306).map(|i| (i * 13 % N) as i32).collect();
        let (weights, first) = (uniform(12, 306), [0_i32, 301, 301, 306]);
        let (w, out) = (bench.put(&waves), bench.empty::<f64>(9));
        let lists = [bench.put(&positions), bench.put(&weights), bench.put(&first)];
        let mut arguments = vec![Argument::Memory(&out), Argument::Memory(&w)];
        arguments.extend(lists.iter().map(Argument::Memory));
        arguments.extend([int(N), int(3), int(3)]);
        bench.launch("ring_sums", [3, 2], [128, 1], 0, &arguments);
        let sums: Vec<f64> = bench.get(&out, 9);
        for (j, sum) in sums.iter().enumerate() {
            let range = first[j % 3] as usize..first[j % 3 + 1] as usize;
            let twin: f64 = range.map(|i| weights[i] * wide(waves[j / 3 * N + positions[i] as usize]).norm_sqr()).sum();
            assert!((sum - twin).abs() < 1e-12, "{sum} {twin}");
        }
        let out = bench.empty::<f64>(3);
        bench.launch("intensities", [1, 2], [128, 1], 0, &[Argument::Memory(&out), Argument::Memory(&w), int(N), int(3)]);
        for (sum, wave) in bench.get::<f64>(&out, 3).iter().zip(waves.chunks(N)) {
            let twin: f64 = wave.iter().map(|c| wide(*c).norm_sqr()).sum();
            assert!((sum - twin).abs() < 1e-12 * twin);
        }
        bytes.push(sums.iter().map(|s| s.to_bits()).collect::<Vec<_>>());
    }
    assert!(bytes.iter().all(|b| *b == bytes[0]));
}

#[test]
fn transforms_of_every_radix_are_those_of_rustfft() {
    let kernels = kernels_or_skip!("transform");
    // Every radix, one to four stages, sides that differ, tiles that do not divide.
    for (nx, ny, order) in [(2, 3, 0), (5, 16, 1), (25, 18, 2), (80, 10, 0), (8, 128, 1), (54, 90, 2), (3, 162, 0), (480, 2, 1)]
        .map(|(x, y, o)| (x, y, ORDERS[o]))
    {
        let (Some(sx), Some(sy)) = (Stages::new(nx), Stages::new(ny)) else { panic!("{nx} × {ny} has stages") };
        let (arrays, points) = (3, nx * ny);
        let mut bench = Bench::new(kernels, order);
        let values = complex(13, arrays * points);
        for inverse in [false, true] {
            let data = bench.put(&values);
            for (stages, n, rows) in [(sx, nx, true), (sy, ny, false)] {
                let mut position = vec![0_i32; n];
                stages.frequencies(n).iter().enumerate().for_each(|(at, f)| position[*f as usize] = at as i32);
                let (roots, position) = (bench.put(&roots(n)), bench.put(&position));
                let line = [
                    Argument::Memory(&data),
                    Argument::Memory(&roots),
                    Argument::Memory(&position),
                    Argument::Int4(stages.argument()),
                    int(n),
                ];
                let back = int(usize::from(inverse));
                if rows {
                    let (lines, all) = (2, arrays * ny);
                    let shared = 8 * (lines * (n + n / 16 + 1) + n);
                    bench.launch(
                        "transform_rows",
                        [all.div_ceil(lines), 1],
                        [64, 1],
                        shared,
                        &[&line[..], &[int(all), int(lines), back]].concat(),
                    );
                } else {
                    let width = 4;
                    let arguments = [&line[..], &[int(nx), int(width), int(arrays), back]].concat();
                    bench.launch("transform_columns", [nx.div_ceil(width), 2], [64, 1], 8 * (n * width + n), &arguments);
                }
            }
            let fft = Fft2::<f64>::new(nx, ny);
            let mut twin: Vec<Complex64> = values.iter().map(|v| wide(*v)).collect();
            for array in twin.chunks_exact_mut(points) {
                if inverse { fft.inverse(array, &mut fft.scratch()) } else { fft.forward(array, &mut fft.scratch()) }
            }
            let error = far(&bench.get(&data, arrays * points), &twin);
            assert!(error < 1e-6 * (points as f64).sqrt() * 2.0, "{nx} × {ny} inverse {inverse}: {error}");
        }
    }
}

#[test]
fn matrices_and_images_are_those_of_the_sums_written_out() {
    let kernels = kernels_or_skip!("gram and contract");
    let mut bytes = Vec::new();
    for order in ORDERS {
        let mut bench = Bench::new(kernels, order);
        // Two matrices: 37 waves (two tiles a side, the second not full) on 43 points, and 3 waves on 16.
        let (waves, sizes, rings) = (complex(14, 40 * N), [37_usize, 3], [43_usize, 16]);
        let positions: Vec<i32> = (0..59).map(|i| (i * 17 % N) as i32).collect();
        let roots: Vec<f32> = uniform(15, 59).iter().map(|v| v.abs() as f32).collect();
        let columns: Vec<i32> = (0..40).map(|c| c * 11 % 40).collect();
        let tiles: [[i32; 3]; 4] = [[0, 0, 0], [0, 1, 0], [0, 1, 1], [1, 0, 0]];
        let (ring_first, column_first, offset) = ([0_i32, 43, 59], [0_i32, 37, 40], [0_i64, 37 * 37]);
        let out = bench.empty::<[f64; 2]>(37 * 37 + 9);
        let (column_first, offset) = (bench.put(&column_first), bench.put(&offset));
        let lists = [bench.put(&waves), bench.put(&positions), bench.put(&roots), bench.put(&ring_first), bench.put(&columns)];
        let tile_list = bench.put(&tiles);
        let mut arguments = vec![Argument::Memory(&out)];
        arguments.extend(lists.iter().map(Argument::Memory));
        arguments.extend([Argument::Memory(&column_first), Argument::Memory(&offset), Argument::Memory(&tile_list), int(N)]);
        bench.launch("gram", [4, 1], [16, 16], 0, &arguments);
        let m: Vec<[f64; 2]> = bench.get(&out, 37 * 37 + 9);
        let on_ring = |g: usize, p: usize, c: usize| {
            let (first, column) = ([0, 43][g], columns[[0, 37][g] + c] as usize);
            wide(waves[column * N + positions[first + p] as usize]) * f64::from(roots[first + p])
        };
        let element = |g: usize, i: usize, j: usize| (0..rings[g]).map(|p| on_ring(g, p, i).conj() * on_ring(g, p, j)).sum::<Complex64>();
        for g in 0..2 {
            for (i, j) in (0..sizes[g]).flat_map(|i| (0..=i).map(move |j| (i, j))) {
                let [re, im] = m[[0, 37 * 37][g] + i * sizes[g] + j];
                assert!((Complex64::new(re, im) - element(g, i, j)).norm() < 2e-6 * rings[g] as f64, "matrix {g} ({i}, {j})");
            }
        }

        // Two probes of five and two beams, one on each matrix.
        let beams: [[i32; 3]; 7] = [[3, 0, 0], [36, 1, 0], [7, -1, 2], [0, 0, 2], [12, 2, -1], [2, 4, 4], [0, 5, 3]];
        let amplitudes: Vec<[f64; 2]> = uniform(16, 14).chunks(2).map(|c| [c[0], c[1]]).collect();
        let (beam_first, matrix) = ([0_i32, 5, 7], [0_i32, 1]);
        let boxes: [[i32; 5]; 2] = [[-1, -1, 4, 4, 0], [4, 3, 2, 2, 16]];
        let mut lookup = vec![-1_i32; 20];
        for (p, number) in [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 5), (1, 6)] {
            let [h0, k0, width, _, start] = boxes[p];
            lookup[(start + (beams[number][2] - k0) * width + beams[number][1] - h0) as usize] = number as i32 - beam_first[p];
        }
        let (h_max, k_max) = (3_usize, 3_usize);
        let coefficients = (h_max + 1) * (2 * k_max + 1);
        let images = bench.empty::<[f64; 2]>(2 * coefficients);
        let lists = [bench.put(&beam_first), bench.put(&beams), bench.put(&amplitudes), bench.put(&boxes), bench.put(&lookup)];
        let matrix_list = bench.put(&matrix);
        let mut arguments = [&images, &out, &offset, &matrix_list, &column_first].map(Argument::Memory).to_vec();
        arguments.extend(lists.iter().map(Argument::Memory));
        arguments.extend([int(h_max), int(k_max), int(2)]);
        bench.launch("contract", [1, 2], [128, 1], 0, &arguments);
        let found: Vec<[f64; 2]> = bench.get(&images, 2 * coefficients);
        for p in 0..2 {
            let range = beam_first[p] as usize..beam_first[p + 1] as usize;
            for q in 0..coefficients {
                let (h, k) = ((q / (2 * k_max + 1)) as i32, (q % (2 * k_max + 1)) as i32 - k_max as i32);
                let amplitude = |b: usize| Complex64::new(amplitudes[b][0], amplitudes[b][1]);
                let pairs = range.clone().flat_map(|a| range.clone().map(move |b| (a, b)));
                let twin: Complex64 = pairs
                    .filter(|&(a, b)| beams[a][1] - beams[b][1] == h && beams[a][2] - beams[b][2] == k)
                    .map(|(a, b)| amplitude(a).conj() * amplitude(b) * element(p, beams[a][0] as usize, beams[b][0] as usize))
                    .sum();
                let [re, im] = found[p * coefficients + q];
                assert!((Complex64::new(re, im) - twin).norm() < 1e-4, "probe {p} ({h}, {k}): {re} {im} {twin}");
            }
        }
        bytes.push(found.iter().flatten().map(|v| v.to_bits()).collect::<Vec<_>>());
    }
    assert!(bytes.iter().all(|b| *b == bytes[0]), "the order of threads changes nothing");
}
