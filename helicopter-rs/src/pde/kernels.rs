//! Dense kernels on one front: partial Cholesky factorisation and the two triangular solves.
//!
//! Storage is "panel-major" (Frison et al. 2018, BLASFEO): rows in panels of [`PANEL`], and within a
//! panel the columns one after the other, [`PANEL`] doubles each. A micro-kernel then reads every
//! operand front to back without packing, also for the small fronts that dominate here.
//!
//! A front has `pivots` columns to eliminate, padded to whole panels with rows and columns of the
//! identity, and `panels` row panels in all: first those of the pivots, then those of the boundary.

#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512};
use super::lanes::{Lanes, Plain};

pub(super) const PANEL: usize = 8;
/// Doubles in a square tile.
pub(super) const TILE: usize = PANEL * PANEL;

/// The instructions this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    pub fn detect() -> Isa {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return Isa::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Isa::Avx2;
            }
        }
        Isa::Plain
    }
}

/// The shape of a front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub pivots: usize,
    pub pivot_panels: usize,
    pub boundary_panels: usize,
}

impl Shape {
    pub fn new(pivots: usize, boundary: usize) -> Shape {
        Shape {
            pivots,
            pivot_panels: pivots.div_ceil(PANEL),
            boundary_panels: boundary.div_ceil(PANEL),
        }
    }

    /// Rows of the front, padding included.
    pub fn rows(&self) -> usize {
        PANEL * (self.pivot_panels + self.boundary_panels)
    }

    /// First row of the boundary.
    pub fn boundary_row(&self) -> usize {
        PANEL * self.pivot_panels
    }

    /// Doubles in one row panel of the pivot columns.
    pub fn factor_stride(&self) -> usize {
        TILE * self.pivot_panels
    }

    /// Doubles of the pivot columns, plus the transposed inverse of every diagonal tile.
    pub fn factor_len(&self) -> usize {
        self.factor_stride() * (self.pivot_panels + self.boundary_panels) + TILE * self.pivot_panels
    }

    pub fn schur_stride(&self) -> usize {
        TILE * self.boundary_panels
    }

    pub fn schur_len(&self) -> usize {
        self.schur_stride() * self.boundary_panels
    }

    /// Multiplications of the factorisation.
    pub fn work(&self) -> f64 {
        let (p, b) = (8.0 * self.pivot_panels as f64, 8.0 * self.boundary_panels as f64);
        p * p * p / 6.0 + p * p * b / 2.0 + p * b * b / 2.0
    }
}

/// `C -= A B^T` for `P` row panels of A against one panel of B, depth `depth`, in column groups.
///
/// # Safety
/// `Lanes` safety; `a` and `b` point to `depth * PANEL` doubles, `c[..]` to `TILE` doubles.
#[inline(always)]
unsafe fn tiles_minus<V: Lanes, const NV: usize, const P: usize, const COLS: usize>(
    a: [*const f64; P],
    b: *const f64,
    depth: usize,
    c: [*mut f64; P],
) {
    let mut column = 0;
    while column < PANEL {
        let mut sum = [[[V::splat(0.0); COLS]; NV]; P];
        for k in 0..depth {
            let mut left = [[V::splat(0.0); NV]; P];
            for q in 0..P {
                for v in 0..NV {
                    left[q][v] = V::load(a[q].add(PANEL * k + V::WIDTH * v));
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
                    let at = c[q].add(PANEL * (column + j) + V::WIDTH * v);
                    V::load(at).plus(sum[q][v][j], minus_one).store(at);
                }
            }
        }
        column += COLS;
    }
}

/// Applies `tiles_minus` to row panels `from..to`, three at a time where registers allow.
///
/// # Safety
/// As `tiles_minus`, for every panel; the panels are `a_stride` and `c_stride` doubles apart.
#[inline(always)]
unsafe fn column_minus<V: Lanes, const NV: usize, const COLS: usize>(
    (a, a_stride): (*const f64, usize),
    b: *const f64,
    depth: usize,
    (c, c_stride): (*mut f64, usize),
    from: usize,
    to: usize,
) {
    let mut i = from;
    if NV == 1 {
        while i + 3 <= to {
            tiles_minus::<V, NV, 3, COLS>(
                [a.add(i * a_stride), a.add((i + 1) * a_stride), a.add((i + 2) * a_stride)],
                b,
                depth,
                [c.add(i * c_stride), c.add((i + 1) * c_stride), c.add((i + 2) * c_stride)],
            );
            i += 3;
        }
        if i + 2 <= to {
            tiles_minus::<V, NV, 2, COLS>(
                [a.add(i * a_stride), a.add((i + 1) * a_stride)],
                b,
                depth,
                [c.add(i * c_stride), c.add((i + 1) * c_stride)],
            );
            i += 2;
        }
    }
    while i < to {
        tiles_minus::<V, NV, 1, COLS>([a.add(i * a_stride)], b, depth, [c.add(i * c_stride)]);
        i += 1;
    }
}

/// Cholesky factor of the lower triangle of one tile, in place; what is above is garbage. False if it is
/// not positive definite.
///
/// # Safety
/// `Lanes` safety.
#[inline(always)]
unsafe fn factor_tile<V: Lanes, const NV: usize>(tile: &mut [f64; TILE]) -> bool {
    let mut columns = [[V::splat(0.0); NV]; PANEL];
    for j in 0..PANEL {
        for v in 0..NV {
            columns[j][v] = V::load(tile.as_ptr().add(PANEL * j + V::WIDTH * v));
        }
    }
    let mut sound = true;
    for j in 0..PANEL {
        // Through memory, since lanes cannot be picked otherwise.
        let at = tile.as_mut_ptr().add(PANEL * j);
        for v in 0..NV {
            columns[j][v].store(at.add(V::WIDTH * v));
        }
        let pivot = tile[PANEL * j + j];
        // Also false for NaN.
        sound &= pivot > 0.0 && pivot < f64::INFINITY;
        let inverse = 1.0 / pivot.sqrt();
        for v in 0..NV {
            columns[j][v] = V::splat(0.0).plus(columns[j][v], V::splat(inverse));
            columns[j][v].store(at.add(V::WIDTH * v));
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
/// `Lanes` safety.
#[inline(always)]
unsafe fn invert_tile<V: Lanes, const NV: usize>(
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
            let mut row = V::load(unit.as_ptr().add(V::WIDTH * v));
            for k in 0..i {
                row = row.plus(rows[k][v], V::splat(-tile[PANEL * k + i]));
            }
            rows[i][v] = V::splat(0.0).plus(row, scale);
            rows[i][v].store(transposed.as_mut_ptr().add(PANEL * i + V::WIDTH * v));
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
/// `Lanes` safety; `c` points to `TILE` doubles.
#[inline(always)]
unsafe fn tile_times<V: Lanes, const NV: usize, const COLS: usize>(c: *mut f64, w: &[f64; TILE]) {
    let mut copy = [0.0; TILE];
    std::ptr::copy_nonoverlapping(c, copy.as_mut_ptr(), TILE);
    let mut column = 0;
    while column < PANEL {
        let mut sum = [[V::splat(0.0); COLS]; NV];
        for k in 0..column + COLS {
            for v in 0..NV {
                let left = V::load(copy.as_ptr().add(PANEL * k + V::WIDTH * v));
                for j in 0..COLS {
                    sum[v][j] = sum[v][j].plus(left, V::splat(w[PANEL * k + column + j]));
                }
            }
        }
        for v in 0..NV {
            for j in 0..COLS {
                sum[v][j].store(c.add(PANEL * (column + j) + V::WIDTH * v));
            }
        }
        column += COLS;
    }
}

#[inline(always)]
unsafe fn eliminate_any<V: Lanes, const NV: usize, const COLS: usize>(
    shape: Shape,
    factor: &mut [f64],
    column: usize,
) -> bool {
    let stride = shape.factor_stride();
    let panels = shape.pivot_panels + shape.boundary_panels;
    let base = factor.as_mut_ptr();
    let depth = PANEL * column;
    let here = base.add(column * stride);
    column_minus::<V, NV, COLS>(
        (base, stride),
        here,
        depth,
        (base.add(TILE * column), stride),
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

#[inline(always)]
unsafe fn reduce_any<V: Lanes, const NV: usize, const COLS: usize>(
    shape: Shape,
    factor: &[f64],
    schur: &mut [f64],
    column: usize,
) {
    let stride = shape.factor_stride();
    let rows = factor.as_ptr().add(shape.pivot_panels * stride);
    let target = schur.as_mut_ptr().add(TILE * column);
    column_minus::<V, NV, COLS>(
        (rows, stride),
        rows.add(column * stride),
        shape.pivots,
        (target, shape.schur_stride()),
        column,
        shape.boundary_panels,
    );
}

/// `v[rows of P panels] -= L[those rows, 0..depth] v[0..depth]` for `C` right-hand sides.
///
/// # Safety
/// `Lanes` safety; `l` points to the panels, `v[c]` to all rows of right-hand side `c`.
#[inline(always)]
unsafe fn rows_minus<V: Lanes, const NV: usize, const P: usize, const C: usize>(
    l: [*const f64; P],
    depth: usize,
    v: [*mut f64; C],
    row: usize,
) {
    // Two independent sums hide the latency of the additions.
    let mut sum = [[[[V::splat(0.0); C]; NV]; P]; 2];
    let mut k = 0;
    while k + 2 <= depth {
        for (half, sum) in sum.iter_mut().enumerate() {
            for q in 0..P {
                for n in 0..NV {
                    let left = V::load(l[q].add(PANEL * (k + half) + V::WIDTH * n));
                    for c in 0..C {
                        sum[q][n][c] = sum[q][n][c].plus(left, V::splat(*v[c].add(k + half)));
                    }
                }
            }
        }
        k += 2;
    }
    if k < depth {
        for q in 0..P {
            for n in 0..NV {
                let left = V::load(l[q].add(PANEL * k + V::WIDTH * n));
                for c in 0..C {
                    sum[0][q][n][c] = sum[0][q][n][c].plus(left, V::splat(*v[c].add(k)));
                }
            }
        }
    }
    let minus_one = V::splat(-1.0);
    for q in 0..P {
        for n in 0..NV {
            for c in 0..C {
                let at = v[c].add(row + PANEL * q + V::WIDTH * n);
                V::load(at).plus(sum[0][q][n][c].add(sum[1][q][n][c]), minus_one).store(at);
            }
        }
    }
}

/// `v[row..row + PANEL] := T v[row..row + PANEL]` for a tile `T`.
///
/// # Safety
/// As `rows_minus`.
#[inline(always)]
unsafe fn tile_apply<V: Lanes, const NV: usize, const C: usize>(
    tile: *const f64,
    v: [*mut f64; C],
    row: usize,
) {
    let mut sum = [[V::splat(0.0); C]; NV];
    for k in 0..PANEL {
        for n in 0..NV {
            let left = V::load(tile.add(PANEL * k + V::WIDTH * n));
            for c in 0..C {
                sum[n][c] = sum[n][c].plus(left, V::splat(*v[c].add(row + k)));
            }
        }
    }
    for n in 0..NV {
        for c in 0..C {
            sum[n][c].store(v[c].add(row + V::WIDTH * n));
        }
    }
}

#[inline(always)]
unsafe fn forward_any<V: Lanes, const NV: usize, const C: usize>(
    shape: Shape,
    factor: &[f64],
    v: &mut [f64],
) {
    let stride = shape.factor_stride();
    let base = factor.as_ptr();
    let rows = shape.rows();
    let start = v.as_mut_ptr();
    let v: [*mut f64; C] = std::array::from_fn(|c| start.add(c * rows));
    for j in 0..shape.pivot_panels {
        let panel = base.add(j * stride);
        rows_minus::<V, NV, 1, C>([panel], PANEL * j, v, PANEL * j);
        tile_apply::<V, NV, C>(panel.add(TILE * j), v, PANEL * j);
    }
    let panels = shape.pivot_panels + shape.boundary_panels;
    let mut i = shape.pivot_panels;
    while i + 2 <= panels {
        rows_minus::<V, NV, 2, C>(
            [base.add(i * stride), base.add((i + 1) * stride)],
            shape.pivots,
            v,
            PANEL * i,
        );
        i += 2;
    }
    if i < panels {
        rows_minus::<V, NV, 1, C>([base.add(i * stride)], shape.pivots, v, PANEL * i);
    }
}

#[inline(always)]
unsafe fn backward_any<V: Lanes, const NV: usize, const COLS: usize, const C: usize>(
    shape: Shape,
    factor: &[f64],
    v: &mut [f64],
) {
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
                        right[c] = V::load(v[c].add(PANEL * i + V::WIDTH * n));
                    }
                    for k in 0..COLS {
                        let left = V::load(tile.add(PANEL * k + V::WIDTH * n));
                        for c in 0..C {
                            sum[k][c] = sum[k][c].plus(left, right[c]);
                        }
                    }
                }
            }
            for c in 0..C {
                let mut totals = [0.0; COLS];
                V::store_totals(
                    std::array::from_fn::<V, COLS, _>(|k| sum[k][c]),
                    totals.as_mut_ptr(),
                );
                for (k, total) in totals.iter().enumerate() {
                    *v[c].add(PANEL * j + column + k) -= total;
                }
            }
            column += COLS;
        }
        tile_apply::<V, NV, C>(base.add(stride * panels + TILE * j), v, PANEL * j);
    }
}

/// Makes the entry points of the kernels for one instruction set.
macro_rules! entry_points {
    ($module:ident, $lanes:ty, $vectors:literal, $columns:literal $(, $feature:literal)?) => {
        mod $module {
            use super::*;
            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn eliminate(shape: Shape, factor: &mut [f64], column: usize) -> bool {
                eliminate_any::<$lanes, $vectors, $columns>(shape, factor, column)
            }
            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn reduce(shape: Shape, factor: &[f64], schur: &mut [f64], column: usize) {
                reduce_any::<$lanes, $vectors, $columns>(shape, factor, schur, column);
            }
            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn forward<const C: usize>(shape: Shape, factor: &[f64], v: &mut [f64]) {
                forward_any::<$lanes, $vectors, C>(shape, factor, v);
            }
            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn backward<const C: usize>(shape: Shape, factor: &[f64], v: &mut [f64]) {
                backward_any::<$lanes, $vectors, $columns, C>(shape, factor, v);
            }
        }
    };
}

entry_points!(plain, Plain, 2, 4);
#[cfg(target_arch = "x86_64")]
entry_points!(avx2, Avx2, 2, 4, "avx2,fma");
#[cfg(target_arch = "x86_64")]
entry_points!(avx512, Avx512, 1, 8, "avx512f");

/// Calls the entry point that this machine has.
macro_rules! dispatch {
    ($isa:expr, $($call:tt)*) => {
        // SAFETY: `Isa::detect` names an instruction set only if the processor has it, and the callers
        // have checked that the slices are as long as the shape says.
        unsafe {
            match $isa {
                Isa::Plain => plain::$($call)*,
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => avx2::$($call)*,
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => avx512::$($call)*,
            }
        }
    };
}

/// Eliminates one panel of pivot columns, all panels to its left being done. False if the matrix is not
/// positive definite.
pub(super) fn eliminate(isa: Isa, shape: Shape, factor: &mut [f64], column: usize) -> bool {
    assert!(factor.len() == shape.factor_len() && column < shape.pivot_panels);
    dispatch!(isa, eliminate(shape, factor, column))
}

/// Subtracts the pivots' contribution from one panel of columns of the Schur complement.
pub(super) fn reduce(isa: Isa, shape: Shape, factor: &[f64], schur: &mut [f64], column: usize) {
    assert!(
        factor.len() == shape.factor_len()
            && schur.len() == shape.schur_len()
            && column < shape.boundary_panels
    );
    dispatch!(isa, reduce(shape, factor, schur, column));
}

/// Forward elimination of `C` right-hand sides, `shape.rows()` doubles each.
pub(super) fn forward<const C: usize>(isa: Isa, shape: Shape, factor: &[f64], v: &mut [f64]) {
    assert!(factor.len() == shape.factor_len() && v.len() == C * shape.rows());
    dispatch!(isa, forward::<C>(shape, factor, v));
}

/// Back substitution, boundary rows given.
pub(super) fn backward<const C: usize>(isa: Isa, shape: Shape, factor: &[f64], v: &mut [f64]) {
    assert!(factor.len() == shape.factor_len() && v.len() == C * shape.rows());
    dispatch!(isa, backward::<C>(shape, factor, v));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instruction_sets_agree() {
        // A diagonally dominant matrix of 21 pivots and 13 boundary rows, and two right-hand sides.
        let shape = Shape::new(21, 13);
        let entry = |i: usize, j: usize| {
            let wave = ((i * 31 + j * 17) as f64).sin();
            if i == j {
                40.0 + wave
            } else {
                wave
            }
        };
        let run = |isa: Isa| {
            let mut factor = vec![0.0; shape.factor_len()];
            let mut schur = vec![0.0; shape.schur_len()];
            let row_of = |i: usize| if i < 21 { i } else { shape.boundary_row() + i - 21 };
            for i in 0..34 {
                for j in 0..=i.min(20) {
                    let row = row_of(i);
                    factor[row / PANEL * shape.factor_stride() + PANEL * j + row % PANEL] =
                        entry(i, j);
                }
            }
            for pad in 21..shape.boundary_row() {
                factor[pad / PANEL * shape.factor_stride() + PANEL * pad + pad % PANEL] = 1.0;
            }
            for column in 0..shape.pivot_panels {
                assert!(eliminate(isa, shape, &mut factor, column));
            }
            for column in 0..shape.boundary_panels {
                reduce(isa, shape, &factor, &mut schur, column);
            }
            let mut v: Vec<f64> = (0..3 * shape.rows()).map(|i| (i as f64 * 0.7).cos()).collect();
            for c in 0..3 {
                v[c * shape.rows() + 21..c * shape.rows() + shape.boundary_row()].fill(0.0);
            }
            forward::<3>(isa, shape, &factor, &mut v);
            backward::<3>(isa, shape, &factor, &mut v);
            // Only the lower triangle of the Schur complement means something.
            let lower = (0..13).flat_map(|i| (0..=i).map(move |j| (i, j)));
            let lower =
                lower.map(|(i, j)| schur[i / PANEL * shape.schur_stride() + PANEL * j + i % PANEL]);
            lower.chain(v).collect::<Vec<f64>>()
        };
        let expected = run(Isa::Plain);
        let mut others = vec![Isa::detect()];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            others.push(Isa::Avx2);
        }
        for isa in others {
            for (a, b) in run(isa).iter().zip(&expected) {
                assert!((a - b).abs() < 1e-12, "{isa:?}: {a} {b}");
            }
        }
        // The first pivot's row of the factor reproduces the matrix: L11 = sqrt(a11), kept inverted.
        let mut factor = vec![0.0; Shape::new(1, 0).factor_len()];
        let one = Shape::new(1, 0);
        for i in 0..PANEL {
            factor[PANEL * i + i] = if i == 0 { 4.0 } else { 1.0 };
        }
        assert!(eliminate(Isa::detect(), one, &mut factor, 0));
        assert!((factor[0] - 0.5).abs() < 1e-15);
        factor[0] = -1.0;
        assert!(!eliminate(Isa::detect(), one, &mut factor, 0));
    }
}
