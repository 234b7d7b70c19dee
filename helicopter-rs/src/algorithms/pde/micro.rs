//! The vector code behind `kernels`, for any width of vectors: `NV` vectors make up a panel's column, and
//! `COLS` columns of a tile are worked on at a time, as many as the registers hold.

use super::kernels::{Shape, PANEL, TILE};
use crate::utils::simd::F64s;

/// `C -= A B^T` for `P` row panels of A against one panel of B, depth `depth`, in column groups.
///
/// # Safety
/// `a` and `b` point to `depth * PANEL` doubles, `c[..]` to `TILE` doubles.
#[inline(always)]
unsafe fn tiles_minus<V: F64s, const NV: usize, const P: usize, const COLS: usize>(
    a: [*const f64; P],
    b: *const f64,
    depth: usize,
    c: [*mut f64; P],
) {
    debug_assert!(NV * V::LANES == PANEL && PANEL.is_multiple_of(COLS));
    let mut column = 0;
    while column < PANEL {
        let mut sum = [[[V::splat(0.0); COLS]; NV]; P];
        for k in 0..depth {
            let mut left = [[V::splat(0.0); NV]; P];
            for q in 0..P {
                for v in 0..NV {
                    left[q][v] = V::read(a[q].add(PANEL * k + V::LANES * v));
                }
            }
            for j in 0..COLS {
                let right = V::splat(*b.add(PANEL * k + column + j));
                for q in 0..P {
                    for v in 0..NV {
                        sum[q][v][j] = sum[q][v][j].plus(left[q][v], right);
                    }
                }
            }
        }
        let minus_one = V::splat(-1.0);
        for q in 0..P {
            for v in 0..NV {
                for j in 0..COLS {
                    let at = c[q].add(PANEL * (column + j) + V::LANES * v);
                    V::read(at).plus(sum[q][v][j], minus_one).write(at);
                }
            }
        }
        column += COLS;
    }
}

/// Applies `tiles_minus` to row panels `from..to`, three at a time where registers allow.
///
/// # Safety
/// As `tiles_minus`, for every panel; those of A are `a_stride` doubles apart, those of C at `c_at`.
#[inline(always)]
unsafe fn column_minus<V: F64s, const NV: usize, const COLS: usize>(
    (a, a_stride): (*const f64, usize),
    b: *const f64,
    depth: usize,
    (c, c_at): (*mut f64, impl Fn(usize) -> usize),
    from: usize,
    to: usize,
) {
    let mut i = from;
    if NV == 1 {
        while i + 3 <= to {
            let a = [0, 1, 2].map(|q| a.add((i + q) * a_stride));
            let c = [0, 1, 2].map(|q| c.add(c_at(i + q)));
            tiles_minus::<V, NV, 3, COLS>(a, b, depth, c);
            i += 3;
        }
        if i + 2 <= to {
            let a = [0, 1].map(|q| a.add((i + q) * a_stride));
            let c = [0, 1].map(|q| c.add(c_at(i + q)));
            tiles_minus::<V, NV, 2, COLS>(a, b, depth, c);
            i += 2;
        }
    }
    while i < to {
        tiles_minus::<V, NV, 1, COLS>([a.add(i * a_stride)], b, depth, [c.add(c_at(i))]);
        i += 1;
    }
}

/// Cholesky factor of the lower triangle of one tile, in place; what is above is garbage. False if it is
/// not positive definite.
///
/// # Safety
/// `NV` vectors hold `PANEL` doubles.
#[inline(always)]
unsafe fn factor_tile<V: F64s, const NV: usize>(tile: &mut [f64; TILE]) -> bool {
    debug_assert!(NV * V::LANES == PANEL);
    let mut columns = [[V::splat(0.0); NV]; PANEL];
    for j in 0..PANEL {
        for v in 0..NV {
            columns[j][v] = V::read(tile.as_ptr().add(PANEL * j + V::LANES * v));
        }
    }
    let mut sound = true;
    for j in 0..PANEL {
        // Through memory, since lanes cannot be picked otherwise.
        let at = tile.as_mut_ptr().add(PANEL * j);
        for v in 0..NV {
            columns[j][v].write(at.add(V::LANES * v));
        }
        let pivot = tile[PANEL * j + j];
        // Also false for NaN.
        sound &= pivot > 0.0 && pivot < f64::INFINITY;
        let inverse = 1.0 / pivot.sqrt();
        for v in 0..NV {
            columns[j][v] = V::splat(0.0).plus(columns[j][v], V::splat(inverse));
            columns[j][v].write(at.add(V::LANES * v));
        }
        for k in j + 1..PANEL {
            let factor = V::splat(-tile[PANEL * j + k]);
            for v in 0..NV {
                columns[k][v] = columns[k][v].plus(columns[j][v], factor);
            }
        }
    }
    sound
}

/// Inverse of a lower triangular tile and its transpose.
///
/// # Safety
/// `NV` vectors hold `PANEL` doubles.
#[inline(always)]
unsafe fn invert_tile<V: F64s, const NV: usize>(
    tile: &[f64; TILE],
    inverse: &mut [f64; TILE],
    transposed: &mut [f64; TILE],
) {
    // Row i of the inverse from the rows before; it is a column of the transpose, consecutive in memory.
    let mut rows = [[V::splat(0.0); NV]; PANEL];
    for i in 0..PANEL {
        let mut unit = [0.0; PANEL];
        unit[i] = 1.0;
        let scale = V::splat(1.0 / tile[PANEL * i + i]);
        for v in 0..NV {
            let mut row = V::read(unit.as_ptr().add(V::LANES * v));
            for k in 0..i {
                row = row.plus(rows[k][v], V::splat(-tile[PANEL * k + i]));
            }
            rows[i][v] = V::splat(0.0).plus(row, scale);
            rows[i][v].write(transposed.as_mut_ptr().add(PANEL * i + V::LANES * v));
        }
    }
    for i in 0..PANEL {
        for j in 0..PANEL {
            inverse[PANEL * j + i] = transposed[PANEL * i + j];
        }
    }
}

/// `C := C W` for one panel of C and a tile W given by its columns' coefficients `w[k][j]`.
///
/// # Safety
/// `c` points to `TILE` doubles.
#[inline(always)]
unsafe fn tile_times<V: F64s, const NV: usize, const COLS: usize>(c: *mut f64, w: &[f64; TILE]) {
    debug_assert!(NV * V::LANES == PANEL && PANEL.is_multiple_of(COLS));
    let mut copy = [0.0; TILE];
    std::ptr::copy_nonoverlapping(c, copy.as_mut_ptr(), TILE);
    let mut column = 0;
    while column < PANEL {
        let mut sum = [[V::splat(0.0); COLS]; NV];
        for k in 0..column + COLS {
            for v in 0..NV {
                let left = V::read(copy.as_ptr().add(PANEL * k + V::LANES * v));
                for j in 0..COLS {
                    sum[v][j] = sum[v][j].plus(left, V::splat(w[PANEL * k + column + j]));
                }
            }
        }
        for v in 0..NV {
            for j in 0..COLS {
                sum[v][j].write(c.add(PANEL * (column + j) + V::LANES * v));
            }
        }
        column += COLS;
    }
}

/// Factorises one panel of pivot columns, those to its left being done. False if that is impossible.
///
/// # Safety
/// The slices are as long as `shape` says.
#[inline(always)]
pub(super) unsafe fn eliminate_any<V: F64s, const NV: usize, const COLS: usize>(
    shape: Shape,
    factor: &mut [f64],
    column: usize,
) -> bool {
    debug_assert!(factor.len() == shape.factor_len() && column < shape.pivot_panels);
    let stride = shape.factor_stride();
    let panels = shape.pivot_panels + shape.boundary_panels;
    let base = factor.as_mut_ptr();
    let depth = PANEL * column;
    let here = base.add(column * stride);
    column_minus::<V, NV, COLS>(
        (base, stride),
        here,
        depth,
        (base.add(TILE * column), |i| i * stride),
        column,
        panels,
    );
    let diagonal = &mut *here.add(TILE * column).cast::<[f64; TILE]>();
    if !factor_tile::<V, NV>(diagonal) {
        return false;
    }
    let mut inverse = [0.0; TILE];
    let transposed = &mut *base.add(stride * panels + TILE * column).cast::<[f64; TILE]>();
    invert_tile::<V, NV>(diagonal, &mut inverse, transposed);
    *diagonal = inverse;
    // X = C L^-T: the coefficient of column k in column j is (L^-1)[j, k], entry k * PANEL + j of the inverse.
    for i in column + 1..panels {
        tile_times::<V, NV, COLS>(base.add(i * stride + TILE * column), &inverse);
    }
    true
}

/// Subtracts the pivots' part from one panel of columns of the Schur complement.
///
/// # Safety
/// The slices are as long as `shape` says.
#[inline(always)]
pub(super) unsafe fn reduce_any<V: F64s, const NV: usize, const COLS: usize>(
    shape: Shape,
    factor: &[f64],
    schur: &mut [f64],
    column: usize,
) {
    debug_assert!(factor.len() == shape.factor_len() && schur.len() == shape.schur_len());
    debug_assert!(column < shape.boundary_panels);
    let stride = shape.factor_stride();
    let rows = factor.as_ptr().add(shape.pivot_panels * stride);
    let target = schur.as_mut_ptr().add(TILE * column);
    column_minus::<V, NV, COLS>(
        (rows, stride),
        rows.add(column * stride),
        shape.pivots,
        (target, Shape::schur_panel),
        column,
        shape.boundary_panels,
    );
}

/// `sum += L[rows of P panels, k] v[k]`. Not a closure: that would not inherit the CPU features.
///
/// # Safety
/// As `rows_minus`.
#[inline(always)]
unsafe fn rows_plus<V: F64s, const NV: usize, const P: usize, const C: usize>(
    l: [*const f64; P],
    k: usize,
    v: [*mut f64; C],
    sum: &mut [[[V; C]; NV]; P],
) {
    for q in 0..P {
        for n in 0..NV {
            let left = V::read(l[q].add(PANEL * k + V::LANES * n));
            for c in 0..C {
                sum[q][n][c] = sum[q][n][c].plus(left, V::splat(*v[c].add(k)));
            }
        }
    }
}

/// `v[rows of P panels] -= L[those rows, 0..depth] v[0..depth]` for `C` right-hand sides, in `SUMS`
/// independent sums, which hide the latency of the additions.
///
/// # Safety
/// `l` points to the panels, `v[c]` to all rows of right-hand side `c`.
#[inline(always)]
unsafe fn rows_minus<
    V: F64s,
    const NV: usize,
    const P: usize,
    const SUMS: usize,
    const C: usize,
>(
    l: [*const f64; P],
    depth: usize,
    v: [*mut f64; C],
    row: usize,
) {
    debug_assert!(NV * V::LANES == PANEL);
    let mut sums = [[[[V::splat(0.0); C]; NV]; P]; SUMS];
    let mut k = 0;
    while k + SUMS <= depth {
        for (s, sum) in sums.iter_mut().enumerate() {
            rows_plus::<V, NV, P, C>(l, k + s, v, sum);
        }
        k += SUMS;
    }
    while k < depth {
        rows_plus::<V, NV, P, C>(l, k, v, &mut sums[0]);
        k += 1;
    }
    let minus_one = V::splat(-1.0);
    for q in 0..P {
        for n in 0..NV {
            for c in 0..C {
                let at = v[c].add(row + PANEL * q + V::LANES * n);
                let sum = (1..SUMS).fold(sums[0][q][n][c], |sum, s| sum.add(sums[s][q][n][c]));
                V::read(at).plus(sum, minus_one).write(at);
            }
        }
    }
}

/// `v[row..row + PANEL] := T v[row..row + PANEL]` for a tile `T`.
///
/// # Safety
/// As `rows_minus`.
#[inline(always)]
unsafe fn tile_apply<V: F64s, const NV: usize, const C: usize>(
    tile: *const f64,
    v: [*mut f64; C],
    row: usize,
) {
    debug_assert!(NV * V::LANES == PANEL);
    let mut sum = [[V::splat(0.0); C]; NV];
    for k in 0..PANEL {
        for n in 0..NV {
            let left = V::read(tile.add(PANEL * k + V::LANES * n));
            for c in 0..C {
                sum[n][c] = sum[n][c].plus(left, V::splat(*v[c].add(row + k)));
            }
        }
    }
    for n in 0..NV {
        for c in 0..C {
            sum[n][c].write(v[c].add(row + V::LANES * n));
        }
    }
}

/// Forward elimination of `C` right-hand sides.
///
/// # Safety
/// The slices are as long as `shape` says.
#[inline(always)]
pub(super) unsafe fn forward_any<V: F64s, const NV: usize, const C: usize>(
    shape: Shape,
    factor: &[f64],
    v: &mut [f64],
) {
    debug_assert!(factor.len() == shape.factor_len() && v.len() == C * shape.rows());
    let stride = shape.factor_stride();
    let base = factor.as_ptr();
    let rows = shape.rows();
    let start = v.as_mut_ptr();
    let v: [*mut f64; C] = std::array::from_fn(|c| start.add(c * rows));
    for j in 0..shape.pivot_panels {
        let panel = base.add(j * stride);
        rows_minus::<V, NV, 1, 4, C>([panel], PANEL * j, v, PANEL * j);
        tile_apply::<V, NV, C>(panel.add(TILE * j), v, PANEL * j);
    }
    let panels = shape.pivot_panels + shape.boundary_panels;
    let mut i = shape.pivot_panels;
    if NV == 1 {
        while i + 4 <= panels {
            let l = [0, 1, 2, 3].map(|q| base.add((i + q) * stride));
            rows_minus::<V, NV, 4, 1, C>(l, shape.pivots, v, PANEL * i);
            i += 4;
        }
    }
    while i + 2 <= panels {
        let l = [0, 1].map(|q| base.add((i + q) * stride));
        rows_minus::<V, NV, 2, 2, C>(l, shape.pivots, v, PANEL * i);
        i += 2;
    }
    if i < panels {
        rows_minus::<V, NV, 1, 4, C>([base.add(i * stride)], shape.pivots, v, PANEL * i);
    }
}

/// Back substitution of `C` right-hand sides.
///
/// # Safety
/// The slices are as long as `shape` says.
#[inline(always)]
pub(super) unsafe fn backward_any<V: F64s, const NV: usize, const COLS: usize, const C: usize>(
    shape: Shape,
    factor: &[f64],
    v: &mut [f64],
) {
    debug_assert!(factor.len() == shape.factor_len() && v.len() == C * shape.rows());
    let stride = shape.factor_stride();
    let base = factor.as_ptr();
    let rows = shape.rows();
    let panels = shape.pivot_panels + shape.boundary_panels;
    let start = v.as_mut_ptr();
    let v: [*mut f64; C] = std::array::from_fn(|c| start.add(c * rows));
    for j in (0..shape.pivot_panels).rev() {
        let mut column = 0;
        while column < PANEL {
            let mut sum = [[V::splat(0.0); C]; COLS];
            for i in j + 1..panels {
                let tile = base.add(i * stride + TILE * j + PANEL * column);
                for n in 0..NV {
                    let mut right = [V::splat(0.0); C];
                    for c in 0..C {
                        right[c] = V::read(v[c].add(PANEL * i + V::LANES * n));
                    }
                    for k in 0..COLS {
                        let left = V::read(tile.add(PANEL * k + V::LANES * n));
                        for c in 0..C {
                            sum[k][c] = sum[k][c].plus(left, right[c]);
                        }
                    }
                }
            }
            for c in 0..C {
                let totals = V::totals(std::array::from_fn::<V, COLS, _>(|k| sum[k][c]));
                for (k, total) in totals.iter().enumerate() {
                    *v[c].add(PANEL * j + column + k) -= total;
                }
            }
            column += COLS;
        }
        tile_apply::<V, NV, C>(base.add(stride * panels + TILE * j), v, PANEL * j);
    }
}
