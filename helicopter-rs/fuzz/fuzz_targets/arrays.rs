#![no_main]

use helicopter_fuzz::targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::arrays(data));
