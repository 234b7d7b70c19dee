//! One GPU in one process.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::{c_void, CString};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::sys::CUdevice_attribute as Of;
use cudarc::driver::{result, sys, DriverError};

use super::buffer::{Buffer, Plain};
use super::launch::{Arg, Launch};
use super::{cache, compiler, probe, Source};
use crate::error::{Error, Result};

/// The oldest driver that has pools of memory in the order of a stream.
const LEAST_DRIVER: i32 = 11_040;
/// What a block may have of shared memory without asking.
const SHARED: u32 = 48 * 1024;

/// The process that has used a GPU first; one forked from it cannot.
static PROCESS: AtomicU32 = AtomicU32::new(0);
/// Those that are open, by their number. They stay so: to open one takes longer than most work.
static OPEN: Mutex<Vec<Arc<Gpu>>> = Mutex::new(Vec::new());

/// A GPU that is open: its context, its stream, its kernels. All work is done in the order of the
/// stream, from whatever thread it comes.
pub struct Gpu {
    ordinal: usize,
    name: String,
    architecture: (i32, i32),
    device: sys::CUdevice,
    context: sys::CUcontext,
    stream: sys::CUstream,
    pool: sys::CUmemoryPool,
    modules: Mutex<HashMap<String, Arc<Module>>>,
    lost: AtomicBool,
}

// SAFETY: the driver's handles may be used from any thread to which the context is bound, as `bind` does.
unsafe impl Send for Gpu {}
// SAFETY: as above; the driver has locks of its own.
unsafe impl Sync for Gpu {}

/// Kernels that are loaded; they belong to their GPU.
pub struct Module(sys::CUmodule);

// SAFETY: as for `Gpu`.
unsafe impl Send for Module {}
// SAFETY: as for `Gpu`.
unsafe impl Sync for Module {}

impl Gpu {
    /// Opens a GPU, or returns the one that is open already.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]: what is missing (driver, compiler, device) and how to get it, or that this
    /// process was forked from one that has used a GPU.
    pub fn open(ordinal: usize) -> Result<Arc<Self>> {
        only_one_process()?;
        probe::driver()?;
        probe::compiler()?;
        // a library that lacks what it should have makes cudarc panic, and that must not go further
        catch_unwind(AssertUnwindSafe(|| Self::find(ordinal))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            Err(Error::Device(format!(
                "CUDA cannot be used: {}",
                text.unwrap_or_else(|| "its libraries failed".into())
            )))
        })
    }

    fn find(ordinal: usize) -> Result<Arc<Self>> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|gpu| gpu.ordinal == ordinal) {
            if !open[at].is_lost() {
                return Ok(Arc::clone(&open[at]));
            }
            let gpu = open.swap_remove(at);
            debug_assert!(!gpu.context.is_null());
            // SAFETY: the device is one; whatever the context holds cannot be used any more as it is.
            let done = unsafe { sys::cuDevicePrimaryCtxReset_v2(gpu.device) }.result();
            done.map_err(|error| failure("opening the GPU anew", error, &gpu.name))?;
        }
        let gpu = Arc::new(Self::new(ordinal)?);
        open.push(Arc::clone(&gpu));
        Ok(gpu)
    }

    fn new(ordinal: usize) -> Result<Self> {
        let fail = |what: &str, error: DriverError| failure(what, error, "");
        let none =
            |error: DriverError| Error::Device(format!("no GPU can be used ({})", said(error)));
        result::init().map_err(none)?;
        PROCESS.store(std::process::id(), Ordering::Release);
        let mut version = 0;
        // SAFETY: a place for a number.
        unsafe { sys::cuDriverGetVersion(&raw mut version) }
            .result()
            .map_err(|error| fail("asking for the driver's version", error))?;
        if version < LEAST_DRIVER {
            return Err(Error::Device(format!(
                "the CUDA driver is of version {}.{}; at least 11.4 is needed",
                version / 1000,
                version % 1000 / 10
            )));
        }
        let count = result::device::get_count().map_err(none)?;
        if i64::from(count) <= ordinal as i64 {
            return Err(Error::Device(format!(
                "there is no GPU {ordinal}: {count} are there, numbered from 0"
            )));
        }
        let device = result::device::get(ordinal as i32).map_err(none)?;
        let name = result::device::get_name(device).unwrap_or_else(|_| "a GPU of NVIDIA".into());
        let attribute = |of| {
            // SAFETY: the device is one.
            unsafe { result::device::get_attribute(device, of) }
                .map_err(|error| fail("asking what the GPU can do", error))
        };
        let architecture = (
            attribute(Of::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            attribute(Of::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        );
        if attribute(Of::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED)? == 0 {
            return Err(Error::Device(format!("{name} has no memory pools, which are needed")));
        }
        // SAFETY: the device is one; the context is released in `drop`.
        let context = unsafe { result::primary_ctx::retain(device) }
            .map_err(|error| failure("opening the GPU", error, ""))?;
        let mut gpu = Self {
            ordinal,
            name,
            architecture,
            device,
            context,
            stream: std::ptr::null_mut(),
            pool: std::ptr::null_mut(),
            modules: Mutex::default(),
            lost: AtomicBool::new(false),
        };
        gpu.bind()?;
        gpu.stream = result::stream::create(result::stream::StreamKind::NonBlocking)
            .map_err(|error| fail("making a stream", error))?;
        // SAFETY: the device is one.
        gpu.pool = unsafe { result::device::get_default_mem_pool(device) }
            .map_err(|error| fail("asking for the memory pool", error))?;
        // what was given back is kept: otherwise every wait returns it to the system
        let mut keep = u64::MAX;
        // SAFETY: the attribute is a number of 64 bits.
        unsafe {
            result::mem_pool::set_attribute(
                gpu.pool,
                sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
                (&raw mut keep).cast::<c_void>(),
            )
        }
        .map_err(|error| fail("setting up the memory pool", error))?;
        Ok(gpu)
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number.
    #[must_use]
    pub fn ordinal(&self) -> usize {
        self.ordinal
    }

    /// Compute capability.
    #[must_use]
    pub fn architecture(&self) -> (i32, i32) {
        self.architecture
    }

    pub(super) fn stream(&self) -> sys::CUstream {
        self.stream
    }

    /// Makes the calling thread one of the GPU's.
    pub(super) fn bind(&self) -> Result<()> {
        only_one_process()?;
        debug_assert!(!self.context.is_null());
        // SAFETY: the context is retained until `drop`.
        let bound = unsafe { result::ctx::set_current(self.context) };
        self.check("using the GPU from this thread", bound)
    }

    pub(super) fn check<T>(&self, what: &str, done: Result<T, DriverError>) -> Result<T> {
        done.map_err(|error| {
            if breaks_the_context(error) {
                self.lost.store(true, Ordering::Release);
            }
            failure(what, error, &self.name)
        })
    }

    /// Whether something went wrong after which its context is of no use: a kernel that failed, a device
    /// that went away. The next one that is opened is a new one.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Bytes that are free, and all.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the GPU does not answer.
    pub fn memory(&self) -> Result<(usize, usize)> {
        self.bind()?;
        self.check("asking for free memory", result::mem_get_info())
    }

    /// Waits until all work is done.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if some of it failed.
    pub fn synchronize(&self) -> Result<()> {
        self.bind()?;
        // SAFETY: the stream lives until `drop`.
        self.check("work on the GPU", unsafe { result::stream::synchronize(self.stream) })
    }

    /// Memory for so many values, of which nothing is known.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if it cannot be had: the bytes asked for, and free.
    pub fn empty<T: Plain>(self: &Arc<Self>, len: usize) -> Result<Buffer<T>> {
        if len == 0 {
            return Ok(Buffer::new(Arc::clone(self), 0, 0));
        }
        let bytes = len
            .checked_mul(size_of::<T>())
            .ok_or_else(|| Error::Device(format!("{len} values are more than memory can hold")))?;
        self.bind()?;
        // SAFETY: the stream lives.
        let mut made = unsafe { result::malloc_async(self.stream, bytes) };
        if matches!(made, Err(DriverError(sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY))) {
            // what the pool keeps in pieces that are too small may be enough as a whole
            self.synchronize()?;
            self.trim();
            // SAFETY: as above.
            made = unsafe { result::malloc_async(self.stream, bytes) };
        }
        match made {
            Ok(address) => Ok(Buffer::new(Arc::clone(self), address, len)),
            Err(DriverError(sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY)) => {
                let free = self.memory().map_or(0, |(free, _)| free);
                Err(Error::Device(format!(
                    "{} is out of memory: {bytes} bytes were asked for, {free} are free. Use smaller \
                     images, or device=\"cpu\"",
                    self.name
                )))
            }
            Err(error) => self.check("asking for memory", Err(error)),
        }
    }

    /// Memory for so many values, which are zero.
    ///
    /// # Errors
    ///
    /// As [`Gpu::empty`].
    pub fn zeros<T: Plain>(self: &Arc<Self>, len: usize) -> Result<Buffer<T>> {
        let mut made = self.empty(len)?;
        made.fill_zero()?;
        Ok(made)
    }

    /// Memory that holds these values.
    ///
    /// # Errors
    ///
    /// As [`Gpu::empty`].
    pub fn upload<T: Plain>(self: &Arc<Self>, host: &[T]) -> Result<Buffer<T>> {
        let mut made = self.empty(host.len())?;
        made.write(host)?;
        Ok(made)
    }

    /// A copy of values that lie on this GPU already, in memory of somebody else's.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the address is not one of this GPU's, or fewer bytes are there; as [`Gpu::empty`].
    ///
    /// # Safety
    ///
    /// Nobody writes to them meanwhile.
    pub unsafe fn copy_of<T: Plain>(
        self: &Arc<Self>,
        address: u64,
        len: usize,
    ) -> Result<Buffer<T>> {
        let made = self.empty::<T>(len)?;
        if len > 0 {
            let bytes = len * size_of::<T>();
            self.require_bytes(address, bytes)?;
            // SAFETY: so many bytes are there on both sides; that they stand still the caller says.
            let copied =
                unsafe { result::memcpy_dtod_async(made.address(), address, bytes, self.stream) };
            self.check("a copy on the GPU", copied)?;
        }
        Ok(made)
    }

    /// Looks whether so many bytes of this GPU are behind an address.
    fn require_bytes(&self, address: u64, bytes: usize) -> Result<()> {
        self.bind()?;
        let mut ordinal = -1_i32;
        let of = sys::CUpointer_attribute::CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL;
        // SAFETY: the attribute is a number of 32 bits; of the address no more than that is asked.
        let known =
            unsafe { sys::cuPointerGetAttribute((&raw mut ordinal).cast(), of, address) }.result();
        if known.is_err() || i64::from(ordinal) != self.ordinal as i64 {
            let place =
                if known.is_err() { "on no GPU".into() } else { format!("on GPU {ordinal}") };
            return Err(Error::Device(format!(
                "an array that is said to be on GPU {} is {place}",
                self.ordinal
            )));
        }
        let (mut base, mut size) = (0, 0);
        // SAFETY: two places for two numbers.
        let range =
            unsafe { sys::cuMemGetAddressRange_v2(&raw mut base, &raw mut size, address) }.result();
        let rest = (base + size as u64).saturating_sub(address);
        if range.is_ok() && rest < bytes as u64 {
            return Err(Error::Device(format!(
                "an array that is said to have {bytes} bytes on GPU {} has {rest}",
                self.ordinal
            )));
        }
        Ok(())
    }

    /// Waits until all work on the GPU is done, that of other libraries in this process too.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if some of it failed.
    pub fn synchronize_all(&self) -> Result<()> {
        self.bind()?;
        self.check("work on the GPU", result::ctx::synchronize())
    }

    /// The kernels of a source, compiled for this GPU with these options, once.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] with the compiler's words.
    pub fn module(&self, source: &Source, options: &[String]) -> Result<Arc<Module>> {
        // what is built in is told by where it is; hashing it takes longer than a small kernel
        let quick = match &source.text {
            Cow::Borrowed(text) => format!("{:p} {} {options:?}", text.as_ptr(), text.len()),
            Cow::Owned(text) => format!("{} {text} {options:?}", source.name),
        };
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.get(&quick) {
            return Ok(Arc::clone(module));
        }
        let (major, minor) = self.architecture;
        let mut all = vec![format!("--gpu-architecture=sm_{major}{minor}"), "--std=c++17".into()];
        all.extend_from_slice(options);
        let key = cache::key(source, &all, compiler::version()?);
        self.bind()?;
        let module = match cache::load(&key).map(|code| self.load(&code)) {
            Some(Ok(module)) => module,
            kept => {
                if kept.is_some() {
                    cache::forget(&key); // not for this driver, whatever it is
                }
                let code = compiler::compile(source, &all)?;
                let module = self.load(&code)?;
                cache::store(&key, &code);
                module
            }
        };
        let module = Arc::new(module);
        modules.insert(quick, Arc::clone(&module));
        Ok(module)
    }

    fn load(&self, code: &[u8]) -> Result<Module> {
        // SAFETY: an image of machine code, which the driver checks and copies.
        let loaded = unsafe { result::module::load_data(code.as_ptr().cast()) };
        self.check("loading kernels", loaded).map(Module)
    }

    /// Looks for a kernel.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if there is none of this name.
    pub fn require(&self, module: &Module, name: &str) -> Result<()> {
        self.bind()?;
        self.function(module, name).map(drop)
    }

    fn function(&self, module: &Module, name: &str) -> Result<sys::CUfunction> {
        let entry = CString::new(name)
            .map_err(|_| Error::Device(format!("{name:?} is no name of a kernel")))?;
        debug_assert!(!module.0.is_null());
        // SAFETY: the module is loaded as long as the GPU is open.
        let function = unsafe { result::module::get_function(module.0, entry) };
        self.check(&format!("looking for the kernel {name}"), function)
    }

    /// Starts a kernel, which has ended when the stream has got so far.
    ///
    /// The arguments must be what the kernel declares: number, types, and as much memory as it reads and
    /// writes. Nothing can check that here.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if there is no such kernel or it cannot be started.
    pub fn launch(&self, module: &Module, name: &str, shape: Launch, args: &[Arg]) -> Result<()> {
        if shape.is_empty() {
            return Ok(());
        }
        self.bind()?;
        let function = self.function(module, name)?;
        if shape.shared > SHARED {
            // SAFETY: the function is one of the module's.
            let set = unsafe {
                result::function::set_function_attribute(
                    function,
                    sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                    shape.shared as i32,
                )
            };
            self.check(&format!("shared memory of the kernel {name}"), set)?;
        }
        let mut pointers: Vec<*mut c_void> = args.iter().map(Arg::pointer).collect();
        let [x, y, z] = shape.grid;
        let [u, v, w] = shape.block;
        // SAFETY: the pointers are good for as long as this takes, and buffers for as long as the stream
        // needs, since they are given back in its order; that arguments fit is the caller's promise.
        let started = unsafe {
            result::launch_kernel(
                function,
                (x, y, z),
                (u, v, w),
                shape.shared,
                self.stream,
                &mut pointers,
            )
        };
        self.check(&format!("starting the kernel {name}"), started)
    }

    /// Gives the pool's free memory back to the system.
    pub fn trim(&self) {
        if !self.pool.is_null() && self.bind().is_ok() {
            // SAFETY: the pool is the device's.
            let _ = unsafe { result::mem_pool::trim_to(self.pool, 0) };
        }
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        if only_one_process().is_err() || self.is_lost() {
            return; // another process's, or gone with its context, which was reset
        }
        let _ = self.bind();
        let modules =
            std::mem::take(&mut *self.modules.lock().unwrap_or_else(PoisonError::into_inner));
        // SAFETY: all handles are of this context, and nobody uses them any more: buffers hold a GPU.
        unsafe {
            if !self.stream.is_null() {
                let _ = result::stream::synchronize(self.stream);
            }
            for module in modules.values() {
                let _ = result::module::unload(module.0);
            }
            self.trim();
            if !self.stream.is_null() {
                let _ = result::stream::destroy(self.stream);
            }
            let _ = result::primary_ctx::release(self.device);
        }
    }
}

/// After which nothing works in a context any more. Of all others it is not taken away: other libraries of
/// the process have their memory in it too.
fn breaks_the_context(error: DriverError) -> bool {
    matches!(
        error.0,
        sys::CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
            | sys::CUresult::CUDA_ERROR_LAUNCH_TIMEOUT
            | sys::CUresult::CUDA_ERROR_LAUNCH_FAILED
            | sys::CUresult::CUDA_ERROR_HARDWARE_STACK_ERROR
            | sys::CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION
            | sys::CUresult::CUDA_ERROR_MISALIGNED_ADDRESS
            | sys::CUresult::CUDA_ERROR_INVALID_ADDRESS_SPACE
            | sys::CUresult::CUDA_ERROR_INVALID_PC
            | sys::CUresult::CUDA_ERROR_ASSERT
            | sys::CUresult::CUDA_ERROR_ECC_UNCORRECTABLE
            | sys::CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED
            | sys::CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE
            | sys::CUresult::CUDA_ERROR_UNKNOWN
    )
}

/// Contexts do not survive a fork.
fn only_one_process() -> Result<()> {
    let first = PROCESS.load(Ordering::Acquire);
    if first == 0 || first == std::process::id() {
        return Ok(());
    }
    Err(Error::Device(
        "CUDA was used before this process was forked, and cannot be used after: start processes \
         with multiprocessing.get_context(\"spawn\")"
            .into(),
    ))
}

fn said(error: DriverError) -> String {
    let name = error.error_name().ok().map(|text| text.to_string_lossy().into_owned());
    let text = error.error_string().ok().map(|text| text.to_string_lossy().into_owned());
    match (name, text) {
        (Some(name), Some(text)) => format!("{name}: {text}"),
        _ => format!("error {:?}", error.0),
    }
}

fn failure(what: &str, error: DriverError, name: &str) -> Error {
    let place = if name.is_empty() { String::new() } else { format!(" on {name}") };
    Error::Device(format!("{what}{place} failed ({})", said(error)))
}
