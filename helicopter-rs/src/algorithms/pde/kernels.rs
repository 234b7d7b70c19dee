//! Dense kernels on one front: partial Cholesky factorisation and the two triangular solves.
//!
//! Storage is "panel-major" (Frison et al. 2018, BLASFEO): rows in panels of [`PANEL`], and within a
//! panel the columns one after the other, [`PANEL`] doubles each. A micro-kernel then reads every
//! operand front to back without packing, also for the small fronts that dominate here.
//!
//! A front has `pivots` columns to eliminate, padded to whole panels with rows and columns of the
//! identity, and `panels` row panels in all: first those of the pivots, then those of the boundary.

use super::micro::{backward_any, eliminate_any, forward_any, reduce_any};
use crate::utils::simd::{Isa, Kernel, Simd};

pub(super) const PANEL: usize = 8;
/// Doubles in a square tile.
pub(super) const TILE: usize = PANEL * PANEL;

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

    /// Where a row panel of the Schur complement begins: only tiles up to the diagonal are stored.
    pub const fn schur_panel(panel: usize) -> usize {
        TILE * (panel * (panel + 1) / 2)
    }

    pub fn schur_len(&self) -> usize {
        Self::schur_panel(self.boundary_panels)
    }

    /// Multiplications of the factorisation.
    pub fn work(&self) -> f64 {
        let (p, b) = (8.0 * self.pivot_panels as f64, 8.0 * self.boundary_panels as f64);
        p * p * p / 6.0 + p * p * b / 2.0 + p * b * b / 2.0
    }
}

/// Eliminates one panel of pivot columns, all panels to its left being done. False if the matrix is not
/// positive definite.
pub(super) struct Eliminate<'a> {
    pub shape: Shape,
    pub factor: &'a mut [f64],
    pub column: usize,
}

impl Kernel for Eliminate<'_> {
    type Output = bool;
    const AVX512: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self) -> bool {
        let Self { shape, factor, column } = self;
        assert!(factor.len() == shape.factor_len() && column < shape.pivot_panels);
        // SAFETY: the slices are as long as the shape says.
        unsafe {
            if S::ISA == Isa::Avx512 {
                eliminate_any::<S::F64s, 1, 8>(shape, factor, column)
            } else {
                eliminate_any::<S::F64s, 2, 4>(shape, factor, column)
            }
        }
    }
}

/// Subtracts the pivots' contribution from one panel of columns of the Schur complement.
pub(super) struct Reduce<'a> {
    pub shape: Shape,
    pub factor: &'a [f64],
    pub schur: &'a mut [f64],
    pub column: usize,
}

impl Kernel for Reduce<'_> {
    type Output = ();
    const AVX512: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { shape, factor, schur, column } = self;
        assert!(factor.len() == shape.factor_len() && schur.len() == shape.schur_len());
        assert!(column < shape.boundary_panels);
        // SAFETY: the slices are as long as the shape says.
        unsafe {
            if S::ISA == Isa::Avx512 {
                reduce_any::<S::F64s, 1, 8>(shape, factor, schur, column);
            } else {
                reduce_any::<S::F64s, 2, 4>(shape, factor, schur, column);
            }
        }
    }
}

/// Forward elimination of `C` right-hand sides, `shape.rows()` doubles each.
pub(super) struct Forward<'a, const C: usize> {
    pub shape: Shape,
    pub factor: &'a [f64],
    pub v: &'a mut [f64],
}

impl<const C: usize> Kernel for Forward<'_, C> {
    type Output = ();
    const AVX512: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { shape, factor, v } = self;
        assert!(factor.len() == shape.factor_len() && v.len() == C * shape.rows());
        // SAFETY: the slices are as long as the shape says.
        unsafe {
            if S::ISA == Isa::Avx512 {
                forward_any::<S::F64s, 1, C>(shape, factor, v);
            } else {
                forward_any::<S::F64s, 2, C>(shape, factor, v);
            }
        }
    }
}

/// Back substitution, boundary rows given.
pub(super) struct Backward<'a, const C: usize> {
    pub shape: Shape,
    pub factor: &'a [f64],
    pub v: &'a mut [f64],
}

impl<const C: usize> Kernel for Backward<'_, C> {
    type Output = ();
    const AVX512: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { shape, factor, v } = self;
        assert!(factor.len() == shape.factor_len() && v.len() == C * shape.rows());
        // SAFETY: the slices are as long as the shape says.
        unsafe {
            if S::ISA == Isa::Avx512 {
                backward_any::<S::F64s, 1, 8, C>(shape, factor, v);
            } else {
                backward_any::<S::F64s, 2, 4, C>(shape, factor, v);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::utils::simd;

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
                assert!(isa.run(Eliminate { shape, factor: &mut factor, column }));
            }
            for column in 0..shape.boundary_panels {
                isa.run(Reduce { shape, factor: &factor, schur: &mut schur, column });
            }
            let mut v: Vec<f64> = (0..3 * shape.rows()).map(|i| (i as f64 * 0.7).cos()).collect();
            for c in 0..3 {
                v[c * shape.rows() + 21..c * shape.rows() + shape.boundary_row()].fill(0.0);
            }
            isa.run(Forward::<3> { shape, factor: &factor, v: &mut v });
            isa.run(Backward::<3> { shape, factor: &factor, v: &mut v });
            // Only the lower triangle of the Schur complement means something.
            let lower = (0..13).flat_map(|i| (0..=i).map(move |j| (i, j)));
            let lower =
                lower.map(|(i, j)| schur[Shape::schur_panel(i / PANEL) + PANEL * j + i % PANEL]);
            lower.chain(v).collect::<Vec<f64>>()
        };
        let expected = run(Isa::Plain);
        for isa in Isa::available() {
            for (a, b) in run(isa).iter().zip(&expected) {
                assert!((a - b).abs() < 1e-12, "{isa:?}: {a} {b}");
            }
        }
        // The first pivot's row of the factor reproduces the matrix: L11 = sqrt(a11), kept inverted.
        let shape = Shape::new(1, 0);
        let mut factor = vec![0.0; shape.factor_len()];
        for i in 0..PANEL {
            factor[PANEL * i + i] = if i == 0 { 4.0 } else { 1.0 };
        }
        assert!(simd::run(Eliminate { shape, factor: &mut factor, column: 0 }));
        assert!((factor[0] - 0.5).abs() < 1e-15);
        factor[0] = -1.0;
        assert!(!simd::run(Eliminate { shape, factor: &mut factor, column: 0 }));
    }
}
