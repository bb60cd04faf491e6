//! The shim against bugs planted in kernels: what it must see, it sees.

use super::host::{Kernels, Order, compile, compiler};
use super::kernels::{Bench, ORDERS};
use super::skip;
use mistilt::multislice::cuda::Argument;
use std::sync::Arc;

/// A sum over a block in a tree, with and without its barriers.
const PLANTED: &str = r#"
template <bool WITH_BARRIER> __device__ __forceinline__ void reverse(float* out, int n) {
    __shared__ float line[64];
    line[threadIdx.x] = out[threadIdx.x];
    if (WITH_BARRIER) __syncthreads();
    const float other = line[n - 1 - threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = other;
}
extern "C" __global__ void sound(float* out, int n) { reverse<true>(out, n); }
extern "C" __global__ void barrier_missing(float* out, int n) { reverse<false>(out, n); }
extern "C" __global__ void barrier_not_by_all(float* out, int n) {
    if (threadIdx.x < 32) __syncthreads();
    out[threadIdx.x] = 1.0f;
}
extern "C" __global__ void barriers_differ(float* out, int n) {
    if (threadIdx.x < 32) { __syncthreads(); } else { __syncthreads(); }
    out[threadIdx.x] = 1.0f;
}
extern "C" __global__ void shared_unwritten(float* out, int n) {
    DYNAMIC_SHARED(float, line);
    out[threadIdx.x] = line[threadIdx.x];
}
extern "C" __global__ void beyond_the_end(float* out, int n) { out[threadIdx.x + 1] = 1.0f; }
"#;

/// The planted kernels and a `main` that launches one by name: bugs that end the process are looked for in a process of their own.
const MAIN: &str = r#"
#include <cstdio>
#include <cstdlib>
struct Launch { unsigned grid[3], block[3], shared; };
extern "C" int mistilt_launch(const char*, const Launch*, void**, const unsigned*, unsigned, int, unsigned long);
int main(int, char** arguments) {
    float* memory = new float[64]();
    int n = 64;
    void* values[] = {&memory, &n};
    const unsigned sizes[] = {8, 4};
    const Launch launch = {{1, 1, 1}, {64, 1, 1}, 256};
    const int code = mistilt_launch(arguments[1], &launch, values, sizes, 2, std::atoi(arguments[2]), 1);
    delete[] memory;
    return code;
}
"#;

#[test]
fn a_missing_barrier_changes_the_answer_and_a_sound_kernel_keeps_it() {
    if let Err(reason) = compiler() {
        return skip("planted bugs", &reason);
    }
    let folder = tempfile::tempdir().unwrap();
    let kernels = Arc::new(Kernels::load(&compile(PLANTED, "", folder.path(), "planted").unwrap()));
    let run = |kernel, order| {
        let mut bench = Bench::new(&kernels, order);
        let line = bench.put(&(0..64_u8).map(f32::from).collect::<Vec<_>>());
        bench.launch(kernel, [1, 1], [64, 1], 256, &[Argument::Memory(&line), Argument::Int(64)]);
        bench.get::<f32>(&line, 64)
    };
    let reversed: Vec<f32> = (0..64_u8).rev().map(f32::from).collect();
    assert!(ORDERS.iter().all(|order| run("sound", *order) == reversed));
    // ThreadSanitizer would end this process at once: under it the kernel runs in a process of its own, below.
    if std::env::var("MISTILT_SANITIZER").as_deref() != Ok("thread") {
        assert!(ORDERS.iter().any(|order| run("barrier_missing", *order) != reversed));
    }
    assert!(run("shared_unwritten", Order::Forward).iter().all(|v| v.is_nan()), "shared memory starts as NaN");

    // Launches that do not fit their kernel are refused with a code, not run.
    let mut bench = Bench::new(&kernels, Order::Forward);
    let line = bench.put(&[0.0_f32; 64]);
    let code = |kernel, block, arguments: &[Argument<'_>]| {
        let launch =
            mistilt::multislice::cuda::Launch { kernel, definitions: "", grid: [1, 1, 1], block: [block, 1, 1], shared: 0, arguments };
        kernels.launch(&launch, Order::Forward)
    };
    assert_eq!(code("no_such_kernel", 64, &[]), Err(1));
    assert_eq!(code("sound", 64, &[Argument::Memory(&line)]), Err(2));
    assert_eq!(code("sound", 64, &[Argument::Memory(&line), Argument::Double(64.0)]), Err(3));
    assert_eq!(code("sound", 2048, &[Argument::Memory(&line), Argument::Int(64)]), Err(4));
}

#[test]
fn barriers_that_not_all_threads_reach_end_the_program_with_a_sentence() {
    let compiler = match compiler() {
        Ok(compiler) => compiler,
        Err(reason) => return skip("divergent barriers", &reason),
    };
    let folder = tempfile::tempdir().unwrap();
    let library = compile(PLANTED, "", folder.path(), "planted").unwrap();
    let (main, program) = (folder.path().join("main.cpp"), folder.path().join("main"));
    std::fs::write(&main, MAIN).unwrap();
    let mut command = std::process::Command::new(compiler);
    command.env_remove("LD_PRELOAD");
    let sanitizer = std::env::var("MISTILT_SANITIZER").ok();
    command.args(sanitizer.iter().map(|s| format!("-fsanitize={s}")));
    let built = command.arg(&main).arg(&library).arg("-Wl,-rpath").arg(folder.path()).arg("-o").arg(&program).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let run = |kernel: &str, order: u8| {
        let output = std::process::Command::new(&program).args([kernel, &order.to_string()]).env_remove("LD_PRELOAD").output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(run("sound", 0).0);
    for order in 0..3 {
        let (fine, said) = run("barrier_not_by_all", order);
        assert!(!fine && said.contains("never reach"), "{said}");
        let (fine, said) = run("barriers_differ", order);
        assert!(!fine && said.contains("different barriers"), "{said}");
    }
    // What the compiler's sanitizers are for: scripts/kernel-sanitizers.sh runs these tests under both.
    match sanitizer.as_deref() {
        Some("address") => assert!(run("beyond_the_end", 0).1.contains("heap-buffer-overflow"), "{:?}", run("beyond_the_end", 0)),
        Some("thread") => assert!(run("barrier_missing", 0).1.contains("data race"), "{:?}", run("barrier_missing", 0)),
        _ => println!("out-of-bounds and races are looked for by scripts/kernel-sanitizers.sh"),
    }
}
