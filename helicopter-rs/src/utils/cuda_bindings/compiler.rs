//! Kernels compiled for one architecture.

use std::ffi::{c_char, CString};

use cudarc::nvrtc::{result, sys};

use super::{probe, Source};
use crate::error::{Error, Result};

/// The compiler's version.
pub(super) fn version() -> Result<(i32, i32)> {
    probe::compiler()?;
    let (mut major, mut minor) = (0, 0);
    // SAFETY: two places for two numbers.
    unsafe { sys::nvrtcVersion(&raw mut major, &raw mut minor) }.result().map_err(failed)?;
    Ok((major, minor))
}

fn failed(error: result::NvrtcError) -> Error {
    Error::Device(format!("the CUDA compiler failed: {error}"))
}

/// A program of the compiler, destroyed in the end.
struct Program(sys::nvrtcProgram);

impl Drop for Program {
    fn drop(&mut self) {
        debug_assert!(!self.0.is_null());
        // SAFETY: made by `create_program`, destroyed once.
        let _ = unsafe { result::destroy_program(self.0) };
    }
}

/// The machine code of all kernels of a source.
///
/// # Errors
///
/// [`Error::Device`] with the compiler's words, which name the source's lines.
pub(super) fn compile(source: &Source, options: &[String]) -> Result<Vec<u8>> {
    probe::compiler()?;
    let nul = |_| Error::Device(format!("{}: the source or an option holds a NUL", source.name));
    let text = CString::new(source.text.as_bytes()).map_err(nul)?;
    let name = CString::new(source.name.as_bytes()).map_err(nul)?;
    if options.iter().any(|option| option.contains('\0')) {
        return Err(Error::Device(format!("{}: an option holds a NUL", source.name)));
    }
    let program = Program(result::create_program(&text, Some(&name)).map_err(failed)?);
    // SAFETY: the program lives, and so do its text and name.
    if unsafe { result::compile_program(program.0, options) }.is_err() {
        // SAFETY: as above.
        let log = unsafe { result::get_program_log(program.0) }.unwrap_or_default();
        let log: Vec<u8> = log.iter().map(|&c: &c_char| c as u8).filter(|&c| c != 0).collect();
        return Err(Error::Device(format!(
            "the CUDA source {} does not compile:\n{}",
            source.name,
            String::from_utf8_lossy(&log).trim_end()
        )));
    }
    let mut size = 0;
    // SAFETY: a place for a number.
    unsafe { sys::nvrtcGetCUBINSize(program.0, &raw mut size) }.result().map_err(failed)?;
    if size == 0 {
        return Err(Error::Device(format!(
            "the CUDA compiler made no machine code of {} with {options:?}",
            source.name
        )));
    }
    let mut code = vec![0_u8; size];
    // SAFETY: as many bytes as were asked for.
    unsafe { sys::nvrtcGetCUBIN(program.0, code.as_mut_ptr().cast()) }.result().map_err(failed)?;
    Ok(code)
}
