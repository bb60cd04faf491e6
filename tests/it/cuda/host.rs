//! A driver that runs the kernels of `kernels/` on the processor: compiled by the host's C++ compiler behind `kernels/host/shim.h`, with
//! rustfft where cuFFT stands. Everything above the seam of `multislice::cuda::Driver` is thus tested without a card.
#![expect(unsafe_code, reason = "the compiled kernels are a C library")]

use libloading::Library;
use mistilt::multislice::cuda::{Argument, DeviceError, Driver, Home, Launch, Memory, Queue, fused_source, source};
use mistilt::numerics::fft::Fft2;
use num_complex::Complex32;
use std::collections::HashMap;
use std::ffi::{CString, c_char, c_int, c_void};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

type LaunchFunction = unsafe extern "C" fn(*const c_char, *const Geometry, *mut *mut c_void, *const u32, u32, c_int, u64) -> c_int;

#[repr(C)]
struct Geometry {
    grid: [u32; 3],
    block: [u32; 3],
    shared: u32,
}

/// Order of the threads of a block between barriers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Forward,
    Backward,
    Shuffled(u64),
}

/// Kernels as a library of this process.
pub(crate) struct Kernels {
    library: Mutex<Library>,
}

/// The compiler, where one is that knows C++20.
pub(crate) fn compiler() -> Result<PathBuf, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let look = || {
        if !cfg!(target_os = "linux") {
            return Err("the shim needs Linux".to_owned());
        }
        let chosen = std::env::var_os("CXX").map(PathBuf::from);
        let names = chosen.into_iter().chain(["g++", "clang++", "c++"].map(PathBuf::from));
        let works = |name: &PathBuf| {
            let tried =
                Command::new(name).env_remove("LD_PRELOAD").args(["-std=c++20", "-fsyntax-only", "-x", "c++", "/dev/null"]).output();
            tried.is_ok_and(|o| o.status.success())
        };
        names.into_iter().find(works).ok_or_else(|| "no C++20 compiler (g++ 10 or later, or clang++)".to_owned())
    };
    FOUND.get_or_init(look).clone()
}

/// Compiles kernels behind the shim; definitions as for NVRTC.
pub(crate) fn compile(source: &str, definitions: &str, folder: &Path, name: &str) -> Result<PathBuf, String> {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/host");
    let mut text = format!("#include \"shim.h\"\nnamespace {{\n{source}\n}}\n");
    for (at, _) in source.match_indices("__global__") {
        let signature = source[at..].split('{').next().unwrap();
        let kernel = signature.rsplit_once('(').unwrap().0.split_whitespace().last().unwrap();
        let _ = writeln!(text, "REGISTER({kernel})");
    }
    let (unit, library) = (folder.join(format!("{name}.cpp")), folder.join(format!("lib{name}.so")));
    std::fs::write(&unit, text).unwrap();
    // No contraction of products and sums, as --fmad=false on the card.
    let flags = ["-std=c++20", "-O1", "-fPIC", "-shared", "-ffp-contract=off", "-fno-strict-aliasing", "-Wno-unknown-pragmas", "-w"];
    // ThreadSanitizer would take the scheduler's own state for races: it is told of the switches instead.
    let sanitizer = std::env::var("MISTILT_SANITIZER").unwrap_or_default();
    let object = folder.join(format!("{name}-shim.o"));
    let scheduler = match sanitizer.as_str() {
        "" => vec![],
        "thread" => vec!["-DWITH_TSAN".to_owned()],
        other => vec![format!("-fsanitize={other}")],
    };
    let kernels =
        if sanitizer.is_empty() { vec![] } else { vec![format!("-fsanitize={sanitizer}"), "-g".into(), "-fno-omit-frame-pointer".into()] };
    let compiler = compiler()?;
    let run = |command: &mut Command| {
        let output = command.env_remove("LD_PRELOAD").output().map_err(|e| e.to_string())?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    };
    run(Command::new(&compiler)
        .args(["-std=c++20", "-O2", "-fPIC", "-c"])
        .args(scheduler)
        .arg(host.join("shim.cpp"))
        .arg("-o")
        .arg(&object))?;
    let definitions = definitions.split_whitespace();
    run(Command::new(&compiler)
        .args(flags)
        .args(kernels)
        .args(definitions)
        .arg("-I")
        .arg(&host)
        .args([&unit, &object])
        .arg("-o")
        .arg(&library))?;
    Ok(library)
}

impl Kernels {
    /// Loads a compiled library.
    pub(crate) fn load(path: &Path) -> Self {
        // SAFETY: the library was compiled from the kernels and the shim; its initialisers register kernels.
        let library = unsafe { Library::new(path) }.unwrap();
        Self { library: Mutex::new(library) }
    }

    /// The kernels as they are, compiled once a process; the reason where that cannot be.
    pub(crate) fn shipped() -> Result<&'static Arc<Self>, String> {
        static SHIPPED: OnceLock<Result<Arc<Kernels>, String>> = OnceLock::new();
        let make = || {
            compiler()?;
            let folder = tempfile::tempdir().unwrap();
            let library = compile(&source(), "", folder.path(), "kernels").unwrap_or_else(|e| panic!("the kernels do not compile:\n{e}"));
            Ok(Arc::new(Self::load(&library)))
        };
        SHIPPED.get_or_init(make).as_ref().map_err(Clone::clone)
    }

    /// Runs a kernel; its code where the shim refuses the launch.
    pub(crate) fn launch(&self, launch: &Launch<'_>, order: Order) -> Result<(), c_int> {
        let library = self.library.lock().unwrap_or_else(PoisonError::into_inner);
        let mut values: Vec<([u8; 16], usize)> = launch.arguments.iter().map(Argument::bytes).collect();
        let sizes: Vec<u32> = values.iter().map(|v| v.1 as u32).collect();
        let mut pointers: Vec<*mut c_void> = values.iter_mut().map(|v| v.0.as_mut_ptr().cast()).collect();
        let size = |s: [usize; 3]| s.map(|n| n as u32);
        let geometry = Geometry { grid: size(launch.grid), block: size(launch.block), shared: launch.shared as u32 };
        let (direction, seed) = match order {
            Order::Forward => (0, 0),
            Order::Backward => (1, 0),
            Order::Shuffled(seed) => (2, seed),
        };
        let name = CString::new(launch.kernel).unwrap();
        // SAFETY: the shim checks names, numbers and sizes of arguments; memories live as long as the launch, which ends before this returns.
        let code = unsafe {
            let function = library.get::<LaunchFunction>(b"mistilt_launch").unwrap();
            function(name.as_ptr(), &raw const geometry, pointers.as_mut_ptr(), sizes.as_ptr(), sizes.len() as u32, direction, seed)
        };
        if code == 0 { Ok(()) } else { Err(code) }
    }
}

/// Memory of the make-believe card, and its faults to order.
pub(crate) struct HostCard {
    kernels: Arc<Kernels>,
    pub(crate) model: String,
    pub(crate) order: Order,
    pub(crate) shared_bytes: usize,
    /// Bytes it has.
    pub(crate) memory_bytes: usize,
    pub(crate) used_bytes: AtomicUsize,
    pub(crate) allocations: AtomicUsize,
    pub(crate) launches: AtomicUsize,
    /// The launch at which it is lost.
    pub(crate) lost_at: usize,
    pub(crate) with_fft: bool,
    compiled: Mutex<HashMap<String, Arc<Kernels>>>,
    live: Mutex<HashMap<u64, Vec<u128>>>,
}

impl HostCard {
    pub(crate) fn new(kernels: &Arc<Kernels>) -> Self {
        Self {
            kernels: kernels.clone(),
            model: "host".to_owned(),
            order: Order::Forward,
            shared_bytes: 227 << 10,
            memory_bytes: 2 << 30,
            used_bytes: AtomicUsize::new(0),
            allocations: AtomicUsize::new(0),
            launches: AtomicUsize::new(0),
            lost_at: usize::MAX,
            with_fft: true,
            compiled: Mutex::default(),
            live: Mutex::default(),
        }
    }
}

/// The driver.
#[derive(Clone)]
pub(crate) struct HostDriver(pub(crate) Arc<HostCard>);

impl Home for HostCard {
    fn free(&self, address: u64, bytes: usize) {
        assert!(self.live.lock().unwrap().remove(&address).is_some(), "memory freed twice");
        self.used_bytes.fetch_sub(bytes, Ordering::SeqCst);
    }
}

impl Driver for HostDriver {
    fn name(&self) -> String {
        format!("cuda:0 {}", self.0.model)
    }

    fn model(&self) -> String {
        self.0.model.clone()
    }

    fn shared_bytes(&self) -> usize {
        self.0.shared_bytes
    }

    fn free_bytes(&self) -> Result<usize, DeviceError> {
        Ok(self.0.memory_bytes - self.0.used_bytes.load(Ordering::SeqCst))
    }

    fn has_fft(&self) -> bool {
        self.0.with_fft
    }

    fn specialise(&self, definitions: &str) -> Result<bool, DeviceError> {
        let mut compiled = self.0.compiled.lock().unwrap();
        if !compiled.contains_key(definitions) {
            let folder = tempfile::tempdir().unwrap();
            let library =
                compile(&fused_source(), definitions, folder.path(), "specialised").unwrap_or_else(|e| panic!("{definitions}:\n{e}"));
            compiled.insert(definitions.to_owned(), Arc::new(Kernels::load(&library)));
        }
        Ok(true)
    }

    fn queue(&self) -> Result<Box<dyn Queue>, DeviceError> {
        Ok(Box::new(HostQueue(self.clone())))
    }
}

struct HostQueue(HostDriver);

impl HostQueue {
    fn card(&self) -> &HostCard {
        &self.0.0
    }

    fn alive(&self) -> Result<(), DeviceError> {
        if self.card().launches.load(Ordering::SeqCst) >= self.card().lost_at {
            return Err(DeviceError::Lost { card: self.0.name(), what: "CUDA_ERROR_ECC_UNCORRECTABLE".to_owned() });
        }
        Ok(())
    }

    /// The bytes of a memory.
    #[expect(clippy::mut_from_ref, reason = "memory of a card is shared; a queue runs one thing at a time")]
    fn bytes<'a>(&self, memory: &'a Memory) -> &'a mut [u8] {
        assert!(self.card().live.lock().unwrap().contains_key(&memory.address()), "memory used after it was freed");
        // SAFETY: allocated below with this size and still alive; tests use a memory from one thread at a time.
        unsafe { std::slice::from_raw_parts_mut(memory.address() as *mut u8, memory.bytes()) }
    }
}

impl Queue for HostQueue {
    fn allocate(&self, bytes: usize) -> Result<Memory, DeviceError> {
        self.alive()?;
        let card = self.card();
        let free = card.memory_bytes - card.used_bytes.load(Ordering::SeqCst);
        if bytes > free {
            let megabytes = |n: usize| (n >> 20) as u64;
            return Err(DeviceError::OutOfMemory { card: self.0.name(), megabytes: megabytes(bytes), free_megabytes: megabytes(free) });
        }
        card.used_bytes.fetch_add(bytes, Ordering::SeqCst);
        card.allocations.fetch_add(1, Ordering::SeqCst);
        // Poison: NaN wherever a kernel reads what nobody wrote.
        let words = vec![u128::MAX; bytes.div_ceil(16)];
        let address = words.as_ptr() as u64;
        card.live.lock().unwrap().insert(address, words);
        Ok(Memory::new(address, bytes, self.0.0.clone()))
    }

    fn upload(&mut self, to: &Memory, bytes: &[u8]) -> Result<(), DeviceError> {
        self.alive()?;
        self.bytes(to)[..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn download(&mut self, from: &Memory, offset: usize, bytes: &mut [u8]) -> Result<(), DeviceError> {
        self.alive()?;
        bytes.copy_from_slice(&self.bytes(from)[offset..offset + bytes.len()]);
        Ok(())
    }

    fn wait(&mut self) -> Result<(), DeviceError> {
        self.alive()
    }

    fn launch(&mut self, launch: &Launch<'_>) -> Result<(), DeviceError> {
        self.alive()?;
        self.card().launches.fetch_add(1, Ordering::SeqCst);
        let compiled = self.card().compiled.lock().unwrap().get(launch.definitions).cloned();
        let kernels = compiled.unwrap_or_else(|| self.card().kernels.clone());
        let code = kernels.launch(launch, self.card().order);
        assert_eq!(code, Ok(()), "the shim refuses {} (1 no such kernel, 2 argument number, 3 argument size, 4 geometry)", launch.kernel);
        Ok(())
    }

    fn fft(&mut self, memory: &Memory, size: [usize; 2], batch: usize, inverse: bool) -> Result<(), DeviceError> {
        self.alive()?;
        let plan = Fft2::<f32>::new(size[0], size[1]);
        let (mut scratch, points) = (plan.scratch(), size[0] * size[1]);
        let data: &mut [f32] = bytemuck::cast_slice_mut(self.bytes(memory));
        for array in data[..2 * points * batch].chunks_exact_mut(2 * points) {
            let mut wide: Vec<Complex32> = array.chunks_exact(2).map(|c| Complex32::new(c[0], c[1])).collect();
            if inverse {
                plan.inverse(&mut wide, &mut scratch);
            } else {
                plan.forward(&mut wide, &mut scratch);
            }
            array.chunks_exact_mut(2).zip(wide).for_each(|(to, c)| (to[0], to[1]) = (c.re, c.im));
        }
        Ok(())
    }
}
