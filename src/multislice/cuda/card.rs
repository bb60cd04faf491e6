//! A CUDA card behind the seam of `driver`: the one file that speaks to CUDA, through cudarc, and to NVRTC.
//!
//! Nothing is linked: the driver, NVRTC and cuFFT are looked for when they are needed, and their absence is a sentence.
#![expect(unsafe_code, reason = "CUDA is a C interface; every call stands here, with the reason why it is sound")]

use super::DeviceError;
use super::driver::{Driver, Home, Launch, Memory, Queue};
use super::source::{PTX, fused_source, source};
use cudarc::cufft::{result as cufft, sys as cufft_sys};
use cudarc::driver::sys::{self, CUdevice_attribute_enum as Attribute, CUfunction_attribute_enum as FunctionAttribute, CUresult};
use cudarc::driver::{CudaContext, CudaStream, DriverError, result};
use libloading::Library;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Staging memory of a queue that the card reads and writes by itself, bytes.
const STAGING_BYTES: usize = 8 << 20;
/// Transforms a queue keeps plans for.
const PLANS: usize = 16;

/// What the driver is, and how many cards it sees.
pub(super) struct Machine {
    /// CUDA version of the driver, such as 12040.
    pub(super) version: i32,
    pub(super) cards: usize,
}

/// Looks for the driver; nothing of CUDA may be called before this has said yes.
pub(super) fn machine() -> Result<Machine, DeviceError> {
    // SAFETY: opens and closes a library by name; its initialisers are the vendor's.
    if !unsafe { sys::is_culib_present() } {
        return Err(DeviceError::NoDriver);
    }
    let failed = |error: DriverError| DeviceError::Driver { what: name_of(error) };
    result::init().map_err(failed)?;
    let mut version = 0;
    // SAFETY: the driver is there, the pointer is to a live int.
    unsafe { sys::cuDriverGetVersion(&raw mut version) }.result().map_err(failed)?;
    if version < 12_000 {
        return Err(DeviceError::Driver { what: format!("it is for CUDA {}.{}", version / 1000, version % 1000 / 10) });
    }
    let cards = CudaContext::device_count().map_err(failed)?;
    Ok(Machine { version, cards: usize::try_from(cards).unwrap_or(0) })
}

fn name_of(error: DriverError) -> String {
    error.error_name().map_or_else(|_| "an unknown error".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// A function of a loaded module: a handle that any thread may launch while its context lives.
#[derive(Clone, Copy)]
struct Function(sys::CUfunction);
// SAFETY: a CUfunction is an opaque handle; the driver's calls on it are thread-safe.
unsafe impl Send for Function {}

/// One card, its context and kernels, kept for the life of the program.
pub(super) struct Card {
    context: Arc<CudaContext>,
    name: String,
    model: String,
    capability: (i32, i32),
    shared_bytes: usize,
    /// Modules by the definitions they were made with, "" for the kernels as they are; never unloaded.
    modules: Mutex<HashMap<String, usize>>,
    functions: Mutex<HashMap<(String, &'static str), Function>>,
    /// What was said when the card stopped answering.
    lost: OnceLock<String>,
}

/// The card of that number, opened once in the life of the program.
pub(super) fn open(ordinal: usize) -> Result<Arc<Card>, DeviceError> {
    static OPEN: Mutex<Vec<(usize, Arc<Card>)>> = Mutex::new(Vec::new());
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, card)) = open.iter().find(|(n, _)| *n == ordinal) {
        return Ok(card.clone());
    }
    let machine = machine()?;
    if ordinal >= machine.cards {
        let found = match machine.cards {
            0 => "the driver sees none".to_owned(),
            1 => "there is one, cuda:0".to_owned(),
            n => format!("there are {n}, from cuda:0 to cuda:{}", n - 1),
        };
        return Err(DeviceError::NoCard { asked: ordinal, found });
    }
    let card = Arc::new(Card::new(ordinal, machine.version)?);
    open.push((ordinal, card.clone()));
    Ok(card)
}

impl Card {
    fn new(ordinal: usize, version: i32) -> Result<Self, DeviceError> {
        let failed = |error: DriverError| DeviceError::Driver { what: format!("cuda:{ordinal} gives {}", name_of(error)) };
        let context = CudaContext::new(ordinal).map_err(failed)?;
        let model = context.name().map_err(failed)?;
        let capability = context.compute_capability().map_err(failed)?;
        let shared = context.attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN).map_err(failed)?;
        // Many host threads wait at once: they should not spin. Drivers before CUDA 12.1 cannot be told.
        if version >= 12_010 {
            context.set_blocking_synchronize().map_err(failed)?;
        }
        let card = Self {
            name: format!("cuda:{ordinal} {model}"),
            model,
            capability,
            shared_bytes: usize::try_from(shared).unwrap_or(48 << 10),
            context,
            modules: Mutex::default(),
            functions: Mutex::default(),
            lost: OnceLock::new(),
        };
        let image = CString::new(PTX).map_err(|_| card.refused("the PTX holds a zero byte".to_owned()))?;
        if card.load("", image.as_bytes_with_nul()).is_err() {
            // A driver older than the PTX: compile for the card itself.
            let image = card.compile(&source(), "").map_err(|what| card.refused(what))?;
            card.load("", &image).map_err(|error| card.refused(name_of(error)))?;
        }
        Ok(card)
    }

    /// Compute capability, free and whole memory in bytes.
    pub(super) fn facts(&self) -> Result<((i32, i32), usize, usize), DeviceError> {
        let (free, total) = self.check(self.context.mem_get_info())?;
        Ok((self.capability, free, total))
    }

    fn refused(&self, what: String) -> DeviceError {
        DeviceError::Kernels { card: self.name.clone(), what }
    }

    /// Takes an answer of the driver. Everything but a lack of memory means that the context is lost: CUDA's errors stick.
    fn check<T>(&self, answer: Result<T, DriverError>) -> Result<T, DeviceError> {
        if let Some(what) = self.lost.get() {
            return Err(DeviceError::Lost { card: self.name.clone(), what: what.clone() });
        }
        answer.map_err(|error| {
            if error.0 == CUresult::CUDA_ERROR_OUT_OF_MEMORY {
                return self.out_of_memory(0);
            }
            let what = self.lost.get_or_init(|| name_of(error)).clone();
            DeviceError::Lost { card: self.name.clone(), what }
        })
    }

    fn out_of_memory(&self, bytes: usize) -> DeviceError {
        let free = self.context.mem_get_info().map_or(0, |(free, _)| free);
        DeviceError::OutOfMemory { card: self.name.clone(), megabytes: (bytes >> 20) as u64 + 1, free_megabytes: (free >> 20) as u64 }
    }

    /// Loads PTX (with its zero) or a cubin and keeps the module.
    fn load(&self, definitions: &str, image: &[u8]) -> Result<(), DriverError> {
        self.context.bind_to_thread()?;
        // SAFETY: the image is a whole cubin or a PTX text that ends in zero, and outlives the call.
        let module = unsafe { result::module::load_data(image.as_ptr().cast()) }?;
        // As a number: a module is a handle that any thread may use.
        self.modules.lock().unwrap_or_else(PoisonError::into_inner).insert(definitions.to_owned(), module as usize);
        Ok(())
    }

    /// Compiles for this very card; the message of the compiler where it refuses.
    fn compile(&self, source: &str, definitions: &str) -> Result<Vec<u8>, String> {
        let nvrtc = nvrtc().ok_or("the NVRTC library was not found")?;
        let (major, minor) = self.capability;
        let mut options = vec![format!("--gpu-architecture=sm_{major}{minor}"), "--std=c++17".to_owned(), "--fmad=false".to_owned()];
        options.extend(definitions.split_whitespace().map(str::to_owned));
        nvrtc.cubin(source, &options)
    }

    fn function(&self, definitions: &str, kernel: &'static str) -> Result<Function, DeviceError> {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = functions.iter().find(|((d, k), _)| d == definitions && *k == kernel) {
            return Ok(*known);
        }
        let module = self.modules.lock().unwrap_or_else(PoisonError::into_inner).get(definitions).copied();
        let Some(module) = module else { return Err(self.refused(format!("no module holds {kernel}"))) };
        let name = CString::new(kernel).map_err(|_| self.refused(format!("{kernel} is no name")))?;
        // SAFETY: the module was loaded in this context and is never unloaded.
        let found = unsafe { result::module::get_function(module as sys::CUmodule, name) };
        let function = Function(self.check(found)?);
        let attribute = FunctionAttribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        // A kernel with shared memory of its own refuses all of it, and does not need it: the answer is of no consequence.
        // SAFETY: the function is of a loaded module.
        let _ = unsafe { result::function::set_function_attribute(function.0, attribute, self.shared_bytes as i32) };
        functions.insert((definitions.to_owned(), kernel), function);
        Ok(function)
    }
}

/// Memory of a card, given back to it.
struct CardMemory(Arc<Card>);

impl Home for CardMemory {
    fn free(&self, address: u64, _bytes: usize) {
        // After an error the driver takes nothing back; the program's end does.
        let _ = self.0.context.bind_to_thread();
        // SAFETY: the address came from malloc_sync, and Memory frees it once.
        let _ = unsafe { result::free_sync(address) };
    }
}

impl Driver for Arc<Card> {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn model(&self) -> String {
        self.model.clone()
    }

    fn shared_bytes(&self) -> usize {
        self.shared_bytes
    }

    fn free_bytes(&self) -> Result<usize, DeviceError> {
        Ok(self.check(self.context.mem_get_info())?.0)
    }

    fn has_fft(&self) -> bool {
        static PRESENT: OnceLock<bool> = OnceLock::new();
        // SAFETY: opens and closes a library by name.
        *PRESENT.get_or_init(|| unsafe { cufft_sys::is_culib_present() })
    }

    fn specialise(&self, definitions: &str) -> Result<bool, DeviceError> {
        if self.modules.lock().unwrap_or_else(PoisonError::into_inner).contains_key(definitions) {
            return Ok(true);
        }
        // A compiler that is not there or refuses is no reason to stop: the kernels as they are give the same bytes.
        Ok(self.compile(&fused_source(), definitions).is_ok_and(|image| self.load(definitions, &image).is_ok()))
    }

    fn queue(&self) -> Result<Box<dyn Queue>, DeviceError> {
        let stream = self.check(self.context.new_stream())?;
        // SAFETY: the context is bound by new_stream's caller below; the memory is freed when the queue drops.
        let staging = self.check(self.context.bind_to_thread().and_then(|()| unsafe { result::malloc_host(STAGING_BYTES, 0) }))?;
        Ok(Box::new(CardQueue { card: self.clone(), stream, staging: staging.cast(), used: 0, plans: HashMap::new() }))
    }
}

/// A stream with staging memory and transform plans.
struct CardQueue {
    card: Arc<Card>,
    stream: Arc<CudaStream>,
    staging: *mut u8,
    /// Bytes of the staging memory that copies on their way still read.
    used: usize,
    plans: HashMap<([usize; 2], usize), cufft_sys::cufftHandle>,
}
// SAFETY: the staging memory belongs to this queue alone, and plans and streams may be used from any one thread at a time.
unsafe impl Send for CardQueue {}

impl CardQueue {
    fn bind(&self) -> Result<(), DeviceError> {
        self.card.check(self.card.context.bind_to_thread())
    }

    /// A part of the staging memory.
    fn staged(&mut self, start: usize, length: usize) -> &mut [u8] {
        debug_assert!(start + length <= STAGING_BYTES, "a part within the staging memory");
        // SAFETY: STAGING_BYTES were allocated, this queue alone has them, and the borrow of the queue is exclusive. Callers write only where
        // no copy is on its way.
        unsafe { std::slice::from_raw_parts_mut(self.staging.add(start), length) }
    }
}

impl Queue for CardQueue {
    fn allocate(&self, bytes: usize) -> Result<Memory, DeviceError> {
        self.bind()?;
        // SAFETY: the context is bound; Memory frees the address once.
        match unsafe { result::malloc_sync(bytes) } {
            Err(DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY)) => Err(self.card.out_of_memory(bytes)),
            answer => Ok(Memory::new(self.card.check(answer)?, bytes, Arc::new(CardMemory(self.card.clone())))),
        }
    }

    fn upload(&mut self, to: &Memory, bytes: &[u8]) -> Result<(), DeviceError> {
        debug_assert!(bytes.len() <= to.bytes(), "an upload fits its memory");
        self.bind()?;
        for (i, part) in bytes.chunks(STAGING_BYTES).enumerate() {
            if self.used + part.len() > STAGING_BYTES {
                self.wait()?;
            }
            let start = self.used;
            self.staged(start, part.len()).copy_from_slice(part);
            self.used = (start + part.len()).next_multiple_of(256).min(STAGING_BYTES);
            let (stream, address) = (self.stream.cu_stream(), to.address() + (i * STAGING_BYTES) as u64);
            // SAFETY: source and target hold the bytes; the source stays as it is until the stream was waited for (`used`).
            let answer = unsafe { result::memcpy_htod_async(address, self.staged(start, part.len()), stream) };
            self.card.check(answer)?;
        }
        Ok(())
    }

    fn download(&mut self, from: &Memory, offset: usize, bytes: &mut [u8]) -> Result<(), DeviceError> {
        debug_assert!(offset + bytes.len() <= from.bytes(), "a download stays within its memory");
        self.wait()?;
        for (i, part) in bytes.chunks_mut(STAGING_BYTES).enumerate() {
            let (stream, address) = (self.stream.cu_stream(), from.address() + (offset + i * STAGING_BYTES) as u64);
            // SAFETY: as for uploads; the copy has arrived when the stream was waited for.
            let answer = unsafe { result::memcpy_dtoh_async(self.staged(0, part.len()), address, stream) };
            self.card.check(answer)?;
            self.wait()?;
            part.copy_from_slice(self.staged(0, part.len()));
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<(), DeviceError> {
        self.bind()?;
        self.card.check(self.stream.synchronize())?;
        self.used = 0;
        Ok(())
    }

    fn launch(&mut self, launch: &Launch<'_>) -> Result<(), DeviceError> {
        self.bind()?;
        let function = self.card.function(launch.definitions, launch.kernel)?;
        let mut values: Vec<[u8; 16]> = launch.arguments.iter().map(|a| a.bytes().0).collect();
        let mut pointers: Vec<*mut c_void> = values.iter_mut().map(|v| v.as_mut_ptr().cast()).collect();
        let size = |s: [usize; 3]| (s[0] as u32, s[1] as u32, s[2] as u32);
        let (grid, block, shared) = (size(launch.grid), size(launch.block), launch.shared as u32);
        // SAFETY: the arguments are those of the kernel, in number, order and size (the tests run every launch through the same kernels behind a
        // shim that checks them and every access), and the memories outlive the launch: freeing waits for the card.
        let answer = unsafe { result::launch_kernel(function.0, grid, block, shared, self.stream.cu_stream(), &mut pointers) };
        self.card.check(answer)
    }

    fn fft(&mut self, memory: &Memory, size: [usize; 2], batch: usize, inverse: bool) -> Result<(), DeviceError> {
        self.bind()?;
        let plan = self.plan(size, batch)?;
        let (data, direction) = (memory.address() as *mut cufft_sys::cufftComplex, if inverse { 1 } else { -1 });
        // SAFETY: the memory holds the batch; in place is allowed for complex transforms.
        let answer = unsafe { cufft::exec_c2c(plan, data, data, direction) };
        answer.map_err(|error| self.fft_failed(error, 0))
    }
}

impl CardQueue {
    fn plan(&mut self, size: [usize; 2], batch: usize) -> Result<cufft_sys::cufftHandle, DeviceError> {
        if let Some(plan) = self.plans.get(&(size, batch)) {
            return Ok(*plan);
        }
        if self.plans.len() >= PLANS {
            self.wait()?;
            self.forget_plans();
        }
        let ([nx, ny], null) = (size.map(|n| n as c_int), std::ptr::null_mut());
        let mut rank = [ny, nx];
        let kind = cufft_sys::cufftType::CUFFT_C2C;
        // SAFETY: two lengths for rank two; without embeddings the arrays are dense.
        let plan = unsafe { cufft::plan_many(2, rank.as_mut_ptr(), null, 1, nx * ny, null, 1, nx * ny, kind, batch as c_int) };
        let plan = plan.map_err(|error| self.fft_failed(error, 8 * size[0] * size[1] * batch))?;
        // SAFETY: plan and stream live; cuFFT names the driver's stream type by another name.
        unsafe { cufft::set_stream(plan, self.stream.cu_stream().cast()) }.map_err(|error| self.fft_failed(error, 0))?;
        self.plans.insert((size, batch), plan);
        Ok(plan)
    }

    fn fft_failed(&self, error: cufft::CufftError, bytes: usize) -> DeviceError {
        if error.0 == cufft_sys::cufftResult::CUFFT_ALLOC_FAILED {
            return self.card.out_of_memory(bytes);
        }
        let what = self.card.lost.get_or_init(|| format!("cuFFT: {:?}", error.0)).clone();
        DeviceError::Lost { card: self.card.name.clone(), what }
    }

    fn forget_plans(&mut self) {
        for (_, plan) in self.plans.drain() {
            // SAFETY: each plan was made here and is destroyed once; nothing queued uses it any more.
            let _ = unsafe { cufft::destroy(plan) };
        }
    }
}

impl Drop for CardQueue {
    fn drop(&mut self) {
        // A lost card answers nothing; then there is nothing left to give back either.
        let _ = self.wait();
        self.forget_plans();
        // SAFETY: allocated by malloc_host, freed once, and no copy is on its way.
        let _ = unsafe { result::free_host(self.staging.cast()) };
    }
}

/// NVRTC, loaded by hand: cudarc does not know the name it has in CUDA 13.
struct Nvrtc(Library);

fn nvrtc() -> Option<&'static Nvrtc> {
    static NVRTC: OnceLock<Option<Nvrtc>> = OnceLock::new();
    let names = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so", "nvrtc64_130_0.dll", "nvrtc64_120_0.dll"];
    let places = ["", "/usr/local/cuda/lib64/", "/opt/cuda/lib64/"];
    NVRTC
        .get_or_init(|| {
            let paths = places.iter().flat_map(|place| names.iter().map(move |name| format!("{place}{name}")));
            // SAFETY: opens the vendor's library by name; its initialisers are the vendor's.
            paths.into_iter().find_map(|path| unsafe { Library::new(path) }.ok()).map(Nvrtc)
        })
        .as_ref()
}

type Program = *mut c_void;

impl Nvrtc {
    /// A function of the library. `F` must be its type.
    fn get<F: Copy>(&self, name: &str) -> Result<F, String> {
        // SAFETY: the types below are those of nvrtc.h, which have not changed since CUDA 11.1.
        unsafe { self.0.get::<F>(name.as_bytes()) }.map(|symbol| *symbol).map_err(|error| error.to_string())
    }

    /// Compiles a program to machine code; the log where it fails.
    fn cubin(&self, source: &str, options: &[String]) -> Result<Vec<u8>, String> {
        type Create = extern "C" fn(*mut Program, *const c_char, *const c_char, c_int, *const *const c_char, *const *const c_char) -> c_int;
        let text = |s: &str| CString::new(s).map_err(|error| error.to_string());
        let (source, name) = (text(source)?, text("mistilt.cu")?);
        let options = options.iter().map(|o| text(o)).collect::<Result<Vec<CString>, String>>()?;
        let options: Vec<*const c_char> = options.iter().map(|o| o.as_ptr()).collect();
        let mut program: Program = std::ptr::null_mut();
        let created = self.get::<Create>("nvrtcCreateProgram")?(
            &raw mut program,
            source.as_ptr(),
            name.as_ptr(),
            0,
            std::ptr::null(),
            std::ptr::null(),
        );
        if created != 0 {
            return Err(format!("NVRTC error {created}"));
        }
        let compile = self.get::<extern "C" fn(Program, c_int, *const *const c_char) -> c_int>("nvrtcCompileProgram")?;
        let compiled = compile(program, options.len() as c_int, options.as_ptr());
        let out = if compiled == 0 {
            self.bytes(program, "nvrtcGetCUBINSize", "nvrtcGetCUBIN")
        } else {
            let log = self.bytes(program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog").unwrap_or_default();
            let log = CStr::from_bytes_until_nul(&log).map_or_else(|_| String::new(), |l| l.to_string_lossy().into_owned());
            Err(format!("NVRTC error {compiled}: {}", log.lines().next().unwrap_or("no message")))
        };
        self.get::<extern "C" fn(*mut Program) -> c_int>("nvrtcDestroyProgram")?(&raw mut program);
        out
    }

    fn bytes(&self, program: Program, size: &str, get: &str) -> Result<Vec<u8>, String> {
        let mut length = 0_usize;
        let asked = self.get::<extern "C" fn(Program, *mut usize) -> c_int>(size)?(program, &raw mut length);
        let mut out = vec![0_u8; length];
        let got = self.get::<extern "C" fn(Program, *mut c_char) -> c_int>(get)?(program, out.as_mut_ptr().cast());
        if asked == 0 && got == 0 && length > 0 { Ok(out) } else { Err(format!("NVRTC gives nothing for {get}")) }
    }
}

/// Whether NVRTC is there.
pub(super) fn has_nvrtc() -> bool {
    nvrtc().is_some()
}
