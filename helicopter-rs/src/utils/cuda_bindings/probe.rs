//! Whether the libraries are there, asked before cudarc is, which panics where one is not.

use std::sync::OnceLock;

use cudarc::{driver, nvrtc};

use crate::error::{Error, Result};

/// The driver's functions that are called here; an older driver may lack some.
const DRIVER: &[&str] = &[
    "cuInit",
    "cuDriverGetVersion",
    "cuDeviceGetCount",
    "cuDeviceGet",
    "cuDeviceGetName",
    "cuDeviceGetAttribute",
    "cuDevicePrimaryCtxRetain",
    "cuDevicePrimaryCtxRelease_v2",
    "cuDevicePrimaryCtxReset_v2",
    "cuCtxSetCurrent",
    "cuCtxSynchronize",
    "cuMemGetInfo_v2",
    "cuMemGetAddressRange_v2",
    "cuPointerGetAttribute",
    "cuDeviceGetDefaultMemPool",
    "cuMemPoolSetAttribute",
    "cuMemPoolTrimTo",
    "cuMemAllocAsync",
    "cuMemFreeAsync",
    "cuMemcpyHtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyDtoDAsync_v2",
    "cuMemsetD8Async",
    "cuStreamCreate",
    "cuStreamSynchronize",
    "cuStreamDestroy_v2",
    "cuModuleLoadData",
    "cuModuleGetFunction",
    "cuModuleUnload",
    "cuFuncSetAttribute",
    "cuLaunchKernel",
    "cuGetErrorName",
    "cuGetErrorString",
];
const COMPILER: &[&str] = &[
    "nvrtcVersion",
    "nvrtcCreateProgram",
    "nvrtcCompileProgram",
    "nvrtcGetProgramLogSize",
    "nvrtcGetProgramLog",
    "nvrtcGetCUBINSize",
    "nvrtcGetCUBIN",
    "nvrtcDestroyProgram",
];

/// Whether the driver is there. Looked for once: where it is not, that takes milliseconds.
pub(super) fn driver() -> Result<()> {
    static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
    FOUND.get_or_init(look_for_driver).clone().map_err(Error::Device)
}

/// Whether the compiler is there.
pub(super) fn compiler() -> Result<()> {
    static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
    FOUND.get_or_init(look_for_compiler).clone().map_err(Error::Device)
}

fn look_for_driver() -> Result<(), String> {
    // SAFETY: a library that the system finds under the driver's name is the driver.
    if !unsafe { driver::sys::is_culib_present() } {
        return Err(
            "the CUDA driver (libcuda) was not found; it is installed with the driver of a GPU of \
             NVIDIA"
                .into(),
        );
    }
    for symbol in DRIVER {
        // SAFETY: it is there, as was seen above; whether a symbol is there is all that is asked.
        let found = unsafe { driver::sys::culib().get::<*const ()>(symbol.as_bytes()) };
        if found.is_err() {
            return Err(format!(
                "the CUDA driver has no {symbol}: it is too old; at least that of CUDA 11.4 (470) is \
                 needed"
            ));
        }
    }
    Ok(())
}

fn look_for_compiler() -> Result<(), String> {
    // SAFETY: as for the driver.
    if !unsafe { nvrtc::sys::is_culib_present() } {
        return Err(
            "the CUDA compiler (libnvrtc, of version 12 or 13) was not found: install it with \
             pip install nvidia-cuda-nvrtc-cu12, or with the CUDA toolkit"
                .into(),
        );
    }
    for symbol in COMPILER {
        // SAFETY: as for the driver.
        let found = unsafe { nvrtc::sys::culib().get::<*const ()>(symbol.as_bytes()) };
        if found.is_err() {
            return Err(format!(
                "the CUDA compiler (libnvrtc) has no {symbol}: it is too old; install version 12 or \
                 13 with pip install nvidia-cuda-nvrtc-cu12"
            ));
        }
    }
    Ok(())
}
