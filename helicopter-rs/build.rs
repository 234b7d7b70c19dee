//! Tells the crate how it is being built (for `build_info()`), and test binaries where libpython lies.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");

    for (name, value) in [
        ("HELICOPTER_RS_TARGET", env::var("TARGET").ok()),
        ("HELICOPTER_RS_PROFILE", env::var("PROFILE").ok()),
        ("HELICOPTER_RS_OPT_LEVEL", env::var("OPT_LEVEL").ok()),
        ("HELICOPTER_RS_RUSTC", rustc_version()),
    ] {
        let value = value.unwrap_or_else(|| "unknown".to_owned());
        println!("cargo:rustc-env={name}={value}");
    }

    #[cfg(feature = "python")]
    {
        pyo3_build_config::use_pyo3_cfgs();
        // macOS leaves the symbols of Python to the process that loads the module.
        pyo3_build_config::add_extension_module_link_args();
        // `cargo test --features python` links libpython, which is often not on the loader's path.
        // Does nothing under maturin, so that no path of the building machine enters a wheel.
        pyo3_build_config::add_libpython_rpath_link_args();
    }
}

fn rustc_version() -> Option<String> {
    let output = Command::new(env::var_os("RUSTC")?).arg("--version").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
