//! Compiled kernels on disk, found by what they were made of. A file is written whole or not at all, one
//! that is damaged counts as absent, and where nothing can be written all works without.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::Source;

const MAGIC: &[u8; 8] = b"HELIKRN1";
const SUM: usize = 32;

/// What kernels are made of, as the name of a file.
pub(super) fn key(source: &Source, options: &[String], compiler: (i32, i32)) -> String {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    add(env!("CARGO_PKG_VERSION").as_bytes());
    add(format!("{compiler:?}").as_bytes());
    add(source.name.as_bytes());
    add(source.text.as_bytes());
    for option in options {
        add(option.as_bytes());
    }
    hash.finalize().iter().fold(String::new(), |mut name, byte| {
        write!(name, "{byte:02x}").expect("text takes all");
        name
    })
}

/// `$XDG_CACHE_HOME/helicopter/kernels`, or what stands for it.
fn folder() -> Option<PathBuf> {
    let of =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = of("XDG_CACHE_HOME")
        .or_else(|| of("LOCALAPPDATA").filter(|_| cfg!(windows)))
        .or_else(|| of("HOME").map(|home| home.join(".cache")))?;
    base.is_absolute().then(|| base.join("helicopter").join("kernels"))
}

/// The code that was kept under this key.
pub(super) fn load(key: &str) -> Option<Vec<u8>> {
    let bytes = fs::read(folder()?.join(key)).ok()?;
    let (head, code) = bytes.split_at_checked(MAGIC.len() + SUM)?;
    let (magic, sum) = head.split_at(MAGIC.len());
    (magic == MAGIC && sum == &Sha256::digest(code)[..]).then(|| code.to_vec())
}

/// Keeps code, if that can be.
pub(super) fn store(key: &str, code: &[u8]) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let Some(folder) = folder() else { return };
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!(".{key}.{}.{number}", std::process::id()));
    let mut bytes = Vec::with_capacity(MAGIC.len() + SUM + code.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&Sha256::digest(code));
    bytes.extend_from_slice(code);
    let written = fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&temporary, &bytes))
        .and_then(|()| fs::rename(&temporary, folder.join(key)));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
}

/// Takes away what turned out to be of no use.
pub(super) fn forget(key: &str) {
    if let Some(folder) = folder() {
        let _ = fs::remove_file(folder.join(key));
    }
}
