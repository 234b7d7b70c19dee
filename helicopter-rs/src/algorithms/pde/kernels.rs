//! Dense kernels on one front: partial Cholesky factorisation and the two triangular solves.
//!
//! Storage is "panel-major" (Frison et al. 2018, BLASFEO): rows in panels of [`PANEL`], and within a
//! panel the columns one after the other, [`PANEL`] doubles each. A micro-kernel then reads every
//! operand front to back without packing, also for the small fronts that dominate here.
//!
//! A front has `pivots` columns to eliminate, padded to whole panels with rows and columns of the
//! identity, and `panels` row panels in all: first those of the pivots, then those of the boundary.

use super::lanes::Plain;
#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512};
use super::micro::{backward_any, eliminate_any, forward_any, reduce_any};

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
                lower.map(|(i, j)| schur[Shape::schur_panel(i / PANEL) + PANEL * j + i % PANEL]);
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
