//! The two matrices: the graph Laplacian `L` of the pixel grid with its natural border, and `L L`.
//!
//! Both need nothing but the number of neighbours of a pixel. With `d(p)` that number, the entries of
//! `L` are `d(p)` on the diagonal and -1 for neighbours. Those of `L L` are `d(p)^2 + d(p)` on the
//! diagonal, `-d(p) - d(q)` for neighbours, 2 for diagonal neighbours (two paths) and 1 two steps
//! straight ahead (one path), because the grid has no triangles.

/// Which equation the hidden pixels fulfil.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `L u = 0`: every hidden pixel is the mean of its neighbours (membrane, Laplace equation).
    Harmonic,
    /// `L L u = 0`: the surface of least bending (thin plate; Chui & Mhaskar 2010, Damelin & Hoang 2018).
    Biharmonic,
}

/// One step of a stencil: the displacement and the entry far from the image border.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub dy: i32,
    pub dx: i32,
    pub weight: f64,
}

const fn step(dy: i32, dx: i32, weight: f64) -> Step {
    Step { dy, dx, weight }
}

const HARMONIC: [Step; 4] =
    [step(-1, 0, -1.0), step(0, -1, -1.0), step(0, 1, -1.0), step(1, 0, -1.0)];

const BIHARMONIC: [Step; 12] = [
    step(-2, 0, 1.0),
    step(-1, -1, 2.0),
    step(-1, 0, -8.0),
    step(-1, 1, 2.0),
    step(0, -2, 1.0),
    step(0, -1, -8.0),
    step(0, 1, -8.0),
    step(0, 2, 1.0),
    step(1, -1, 2.0),
    step(1, 0, -8.0),
    step(1, 1, 2.0),
    step(2, 0, 1.0),
];

impl Kind {
    /// How many pixels the stencil reaches; also the width of a separator.
    pub(super) const fn reach(self) -> usize {
        match self {
            Kind::Harmonic => 1,
            Kind::Biharmonic => 2,
        }
    }

    /// Upper bound of the matrix's eigenvalues: the Laplacian's are below twice the largest degree.
    pub(super) const fn largest_eigenvalue(self) -> f64 {
        match self {
            Kind::Harmonic => 8.0,
            Kind::Biharmonic => 64.0,
        }
    }

    /// The off-diagonal steps in row-major order.
    pub(super) const fn steps(self) -> &'static [Step] {
        match self {
            Kind::Harmonic => &HARMONIC,
            Kind::Biharmonic => &BIHARMONIC,
        }
    }
}

/// The matrix entries of an image of the given size, exact up to the border.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operator {
    pub kind: Kind,
    pub height: i32,
    pub width: i32,
}

impl Operator {
    /// Number of grid neighbours of a pixel.
    pub fn degree(&self, y: i32, x: i32) -> f64 {
        let missing = i32::from(y == 0)
            + i32::from(y + 1 == self.height)
            + i32::from(x == 0)
            + i32::from(x + 1 == self.width);
        f64::from(4 - missing)
    }

    pub fn diagonal(&self, y: i32, x: i32) -> f64 {
        let degree = self.degree(y, x);
        match self.kind {
            Kind::Harmonic => degree,
            Kind::Biharmonic => degree * degree + degree,
        }
    }

    /// The entry between a pixel and the one `step` away (both inside the image).
    pub fn weight(&self, y: i32, x: i32, step: Step) -> f64 {
        if self.kind == Kind::Biharmonic && step.dy.abs() + step.dx.abs() == 1 {
            -(self.degree(y, x) + self.degree(y + step.dy, x + step.dx))
        } else {
            step.weight
        }
    }

    /// Whether all the entries of this pixel's row are those of an unbounded grid.
    pub fn is_inner(&self, y: i32, x: i32) -> bool {
        let margin = self.kind.reach() as i32;
        y >= margin && x >= margin && y + margin < self.height && x + margin < self.width
    }

    pub fn contains(&self, y: i32, x: i32) -> bool {
        y >= 0 && x >= 0 && y < self.height && x < self.width
    }
}
