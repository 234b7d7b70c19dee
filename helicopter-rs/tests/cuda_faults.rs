//! What goes wrong on a GPU becomes an error, leaves nothing behind, and the process goes on working.
//! On the emulated driver only, which fails on demand; see docs/cuda.md.
#![cfg(all(feature = "cuda", unix))]

use std::ffi::CString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use helicopter_rs::error::{Error, Result};
use helicopter_rs::utils::cuda_bindings::{Arg, Gpu, Launch, Source};
use libloading::os::unix::{Library, Symbol};

const SOURCE: &str = "extern \"C\" __global__ void twice(const float* from, float* to, int n) {\n\
    int i = blockIdx.x * blockDim.x + threadIdx.x;\n    if (i < n) to[i] = 2.0f * from[i];\n}\n";

/// The controls of the emulated driver.
struct Emulator(Library);

impl Emulator {
    fn load() -> Option<Self> {
        let Some(folder) = std::env::var_os("HELICOPTER_CUDA_EMULATOR").map(PathBuf::from) else {
            eprintln!("skipped: `make test-cuda` runs this on the emulated driver");
            return None;
        };
        // SAFETY: the emulator's libraries do nothing when they are loaded.
        let [driver, compiler] = ["libcuda.so", "libnvrtc.so"]
            .map(|name| unsafe { Library::open(Some(folder.join(name)), 0x102) }.unwrap());
        std::mem::forget(compiler);
        Some(Self(driver))
    }

    fn fault(&self, text: &str) {
        let text = CString::new(text).unwrap();
        // SAFETY: declared so in driver.cpp, as are the others.
        unsafe {
            let set: Symbol<unsafe extern "C" fn(*const i8)> =
                self.0.get(b"emulatorFault").unwrap();
            set(text.as_ptr().cast());
        }
    }

    fn reset(&self) {
        // SAFETY: as above.
        unsafe {
            let reset: Symbol<unsafe extern "C" fn()> = self.0.get(b"emulatorReset").unwrap();
            reset();
        }
    }

    /// Allocations that live.
    fn live(&self) -> u64 {
        let mut counts = [0_u64; 6];
        // SAFETY: as above; six numbers.
        unsafe {
            let count: Symbol<unsafe extern "C" fn(*mut u64)> =
                self.0.get(b"emulatorCounts").unwrap();
            count(counts.as_mut_ptr());
        }
        counts[0]
    }

    /// Complaints since this was last asked.
    fn problems(&self) -> usize {
        // SAFETY: as above; no text is asked for.
        unsafe {
            let ask: Symbol<unsafe extern "C" fn(*mut i8, usize, i32) -> usize> =
                self.0.get(b"emulatorProblems").unwrap();
            ask(std::ptr::null_mut(), 0, 1)
        }
    }
}

/// Everything once: opened, compiled, copied, started, copied back.
fn work() -> Result<()> {
    let gpu: Arc<Gpu> = Gpu::open(0)?;
    let source = Source { name: "faults.cu".into(), text: SOURCE.into() };
    let module = gpu.module(&source, &[])?;
    let from = gpu.upload(&[1.0_f32, 2.0, 3.0])?;
    let mut to = gpu.zeros::<f32>(3)?;
    let args = [Arg::from(&from), Arg::from(&mut to), Arg::from(3)];
    gpu.launch(&module, "twice", Launch::over(3), &args)?;
    assert_eq!(to.download()?, [2.0, 4.0, 6.0]);
    Ok(())
}

fn said(done: Result<()>) -> String {
    match done {
        Err(Error::Device(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn faults_become_errors_and_leave_nothing_behind() {
    let Some(emulator) = Emulator::load() else { return };
    let cache = std::env::temp_dir().join(format!("helicopter-faults-{}", std::process::id()));
    std::env::set_var("XDG_CACHE_HOME", &cache);
    let recovered = |what: &str| {
        emulator.reset();
        work().unwrap_or_else(|error| panic!("after {what}: {error}"));
        assert_eq!((emulator.live(), emulator.problems()), (0, 0), "{what}");
    };
    recovered("nothing");

    for (fault, text) in [
        ("alloc:1+", "12 bytes were asked for"),
        ("alloc:2+", "12 bytes were asked for"),
        ("refuse:1", "starting the kernel twice"),
        ("launch:1", "LAUNCH_FAILED"),
        ("copy:1", "a copy to the GPU"),
        ("copy:2", "a copy from the GPU"),
    ] {
        emulator.fault(fault);
        let message = said(work());
        assert!(message.contains(text), "{fault}: {message}");
        if fault.starts_with("alloc") || fault.starts_with("refuse") {
            // after the others nothing can be freed but with the context, when it is opened anew
            assert_eq!(emulator.live(), 0, "{fault}");
        }
        recovered(fault);
    }

    // the device is lost at any call, until there are none so late
    for call in 1.. {
        assert!(call < 200);
        emulator.fault(&format!("lost:{call}"));
        let done = work();
        let finished = done.is_ok();
        if !finished {
            said(done);
        }
        recovered("the device was lost");
        if finished {
            break;
        }
    }
    std::fs::remove_dir_all(&cache).unwrap();
}

#[test]
fn a_driver_that_lacks_functions_is_said_to_be_too_old() {
    let Some(folder) = std::env::var_os("HELICOPTER_CUDA_EMULATOR").map(PathBuf::from) else {
        return;
    };
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "said_by_another_process", "--ignored", "--nocapture"])
        .env("LD_LIBRARY_PATH", std::env::join_paths([folder.join("old"), folder]).unwrap())
        .env_remove("LD_PRELOAD")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{text}");
    assert!(text.contains("has no cuDeviceGetDefaultMemPool: it is too old"), "{text}");
}

#[test]
#[ignore = "what a_driver_that_lacks_functions_is_said_to_be_too_old starts"]
fn said_by_another_process() {
    println!("{}", said(work()));
}
