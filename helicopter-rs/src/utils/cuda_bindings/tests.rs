use std::sync::{Arc, OnceLock};

use super::{source, Arg, Gpu, Launch, Source};
use crate::error::Error;

/// The GPU that tests run on: a real one, or the emulated one that `make emulator` builds and
/// `HELICOPTER_CUDA_EMULATOR` names. None where there is neither, and the test says so.
pub(crate) fn gpu() -> Option<Arc<Gpu>> {
    static LOADED: OnceLock<()> = OnceLock::new();
    LOADED.get_or_init(|| {
        let Some(folder) = std::env::var_os("HELICOPTER_CUDA_EMULATOR") else { return };
        for name in ["libcuda.so", "libnvrtc.so"] {
            let path = std::path::Path::new(&folder).join(name);
            // SAFETY: the emulator's libraries do nothing when they are loaded.
            let library = unsafe { libloading::os::unix::Library::open(Some(&path), 0x102) };
            std::mem::forget(library.unwrap_or_else(|error| panic!("{}: {error}", path.display())));
        }
    });
    match Gpu::open(0) {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            eprintln!("skipped, no GPU: {error}");
            None
        }
    }
}

fn scale() -> Source {
    source!("smoke.cu")
}

#[test]
fn a_kernel_is_compiled_loaded_and_started() {
    let Some(gpu) = gpu() else { return };
    let module = gpu.module(&scale(), &["-DFACTOR=3".into()]).unwrap();
    let again = gpu.module(&scale(), &["-DFACTOR=3".into()]).unwrap();
    assert!(Arc::ptr_eq(&module, &again));
    for len in [0, 1, 255, 256, 1000] {
        let values: Vec<f32> = (0..len).map(|i| i as f32).collect();
        let (from, mut to) = (gpu.upload(&values).unwrap(), gpu.zeros::<f32>(len).unwrap());
        let args = [Arg::from(&from), Arg::from(&mut to), Arg::from(len as i32)];
        gpu.launch(&module, "scale", Launch::over(len), &args).unwrap();
        let expected: Vec<f32> = values.iter().map(|value| 3.0 * value).collect();
        assert_eq!(to.download().unwrap(), expected);
        let mut copy = gpu.empty::<f32>(len).unwrap();
        copy.copy_from(&to).unwrap();
        assert_eq!(copy.download().unwrap(), expected);
    }
}

#[test]
fn what_does_not_compile_is_said_with_its_line() {
    let Some(gpu) = gpu() else { return };
    let bad =
        Source { name: "bad.cu".into(), text: "\n\nextern \"C\" __global__ void f( {}\n".into() };
    let Err(Error::Device(text)) = gpu.module(&bad, &[]) else { panic!("it compiled") };
    assert!(text.contains("bad.cu") && text.contains('3'), "{text}");
    let Err(Error::Device(text)) = gpu.launch(
        &gpu.module(&scale(), &["-DFACTOR=2".into()]).unwrap(),
        "none",
        Launch::over(1),
        &[],
    ) else {
        panic!("it started")
    };
    assert!(text.contains("none"), "{text}");
}

#[test]
fn too_much_memory_is_an_error_with_the_bytes_and_all_goes_on() {
    let Some(gpu) = gpu() else { return };
    let Err(Error::Device(text)) = gpu.empty::<f64>(1 << 50) else { panic!("it was there") };
    assert!(text.contains(&(8_u64 << 50).to_string()) && text.contains("free"), "{text}");
    assert_eq!(gpu.upload(&[1_i32, 2]).unwrap().download().unwrap(), [1, 2]);
}
