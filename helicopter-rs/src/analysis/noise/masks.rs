//! How many pixels of a mask are true, a vector at a time.

use ndarray::{ArrayView1, ArrayView2};

use crate::utils::simd::kernel;

/// Number of pixels that are true.
pub(in crate::analysis) fn count(mask: ArrayView2<bool>) -> usize {
    if let Some(all) = mask.as_slice() {
        return count_slice(all);
    }
    let of_row = |row: ArrayView1<bool>| match row.as_slice() {
        Some(row) => count_slice(row),
        None => row.iter().filter(|&&one| one).count(),
    };
    mask.outer_iter().map(of_row).sum()
}

/// Whether all pixels are true.
pub(in crate::analysis) fn all(mask: ArrayView2<bool>) -> bool {
    count(mask) == mask.len()
}

fn count_slice(values: &[bool]) -> usize {
    let mut total = 0;
    add_count(values, &mut total);
    total
}

kernel! {
    fn add_count<S>(values: &[bool], total: &mut usize) {
        // few enough at a time for a sum of bytes
        for some in values.chunks(usize::from(u8::MAX)) {
            let mut sum = 0_u8;
            for &one in some {
                sum += u8::from(one);
            }
            *total += usize::from(sum);
        }
    }
}
