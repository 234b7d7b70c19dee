//! A small dense matrix product: rows of floats times packed weights.

use super::line::WIDTH;
use crate::utils::simd::{Isa, Simd, Vector};

/// `out[m] = bias + sum over k of a[m][k] * weights[k] (+ addend[m])`, for `rows` rows and `blocks`
/// blocks of columns. Sums are taken in the order of k, whatever rows are computed together, so that
/// a row's result depends on that row alone.
#[derive(Clone, Copy)]
pub(super) struct Product {
    pub rows: usize,
    pub blocks: usize,
    /// Where the rows begin; a row may consist of two halves that lie apart.
    pub a: [*const f32; 2],
    /// How many of the two there are.
    pub halves: usize,
    /// Floats from a row to the next.
    pub a_stride: usize,
    /// Floats in a row, or in each half.
    pub depth: usize,
    /// `[block][k][WIDTH]`, k running over all halves.
    pub weights: *const f32,
    /// Nothing, or a value for each column.
    pub bias: *const f32,
    /// Nothing, or rows as far apart as those of `out`.
    pub addend: *const f32,
    pub out: *mut f32,
    pub out_stride: usize,
}

/// Computes the whole product.
///
/// # Safety
/// The pointers must be good for what the fields say; `out` overlaps nothing else.
#[inline(always)]
pub(super) unsafe fn product_any<S: Simd>(product: &Product) {
    debug_assert!(matches!(product.halves, 1 | 2));
    debug_assert!(product.rows == 0 || product.a[..product.halves].iter().all(|a| !a.is_null()));
    debug_assert!(product.rows == 0 || product.out_stride >= product.blocks * WIDTH);
    let mut block = 0;
    while block < product.blocks {
        block += panel::<S>(product, block);
    }
}

/// Computes some columns, from block `first` on; returns how many blocks. Here lies the choice of how
/// many accumulators the registers hold.
///
/// # Safety
/// As `product_any`; at least one block is left.
#[inline(always)]
unsafe fn panel<S: Simd>(product: &Product, first: usize) -> usize {
    match S::ISA {
        Isa::Plain if cfg!(target_arch = "aarch64") => columns::<S::F32x16, 4, 1>(product, first),
        Isa::Plain => columns::<S::F32x16, 2, 1>(product, first),
        Isa::Avx2 => columns::<S::F32x16, 6, 1>(product, first),
        Isa::Avx512 => match product.blocks - first {
            1 => columns::<S::F32x16, 14, 1>(product, first),
            2 => columns::<S::F32x16, 14, 2>(product, first),
            4 | 8 => columns::<S::F32x16, 6, 4>(product, first),
            _ => columns::<S::F32x16, 9, 3>(product, first),
        },
    }
}

/// Computes `N` blocks of columns, `M` rows at a time; returns `N`.
///
/// # Safety
/// As `product_any`; `first + N` is at most `product.blocks`.
#[inline(always)]
unsafe fn columns<V: Vector<Float = f32>, const M: usize, const N: usize>(
    product: &Product,
    first: usize,
) -> usize {
    debug_assert!(first + N <= product.blocks);
    if product.rows >= M {
        some_rows::<V, M, N>(product, first, 0);
    } else if product.rows >= 4 {
        some_rows::<V, 4, N>(product, first, 0);
    } else {
        some_rows::<V, 1, N>(product, first, 0);
    }
    N
}

/// All rows from `row` on, `M` at a time; the last ones overlap those before, which changes nothing.
#[inline(always)]
unsafe fn some_rows<V: Vector<Float = f32>, const M: usize, const N: usize>(
    product: &Product,
    first: usize,
    mut row: usize,
) {
    debug_assert!(product.rows == 0 || M <= product.rows);
    while row < product.rows {
        let from = row.min(product.rows - M);
        tile::<V, M, N>(product, first, from);
        row = from + M;
    }
}

#[inline(always)]
unsafe fn tile<V: Vector<Float = f32>, const M: usize, const N: usize>(
    product: &Product,
    first: usize,
    row: usize,
) {
    let stride = product.a_stride;
    let block = product.depth * product.halves * WIDTH;
    let mut weights = product.weights.add(first * block);
    let mut sum = [[V::splat(0.0); N]; M];
    if !product.bias.is_null() {
        for n in 0..N {
            let bias = V::read(product.bias.add((first + n) * WIDTH));
            for m in 0..M {
                sum[m][n] = bias;
            }
        }
    }
    for half in 0..product.halves {
        let a = product.a[half].add(row * stride);
        for k in 0..product.depth {
            let mut w = [V::splat(0.0); N];
            for n in 0..N {
                w[n] = V::read(weights.add(n * block));
            }
            for m in 0..M {
                let value = V::splat(*a.add(m * stride + k));
                for n in 0..N {
                    sum[m][n] = sum[m][n].plus(value, w[n]);
                }
            }
            weights = weights.add(WIDTH);
        }
    }
    for m in 0..M {
        for n in 0..N {
            let at = (row + m) * product.out_stride + (first + n) * WIDTH;
            let mut value = sum[m][n];
            if !product.addend.is_null() {
                value = value.add(V::read(product.addend.add(at)));
            }
            value.write(product.out.add(at));
        }
    }
}
