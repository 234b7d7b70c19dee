//! Multifrontal Cholesky factorisation (Duff & Reid 1983) of the fronts of `ordering`, and its solves.

use super::embedding::Embedding;
use super::kernels::{Backward, Eliminate, Forward, Reduce, PANEL};
use super::ordering::{Graph, Node, Placed, Spot};
use super::stencil::{Kind, Operator};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::memory::zeroed;
use crate::utils::simd;

const NOWHERE: u32 = u32::MAX;
/// Multiplications between two looks at the cancel flag: some ten milliseconds.
const POLL_WORK: f64 = 1e8;
/// Doubles of factors applied between two looks.
const POLL_DOUBLES: usize = 8 << 20;

/// The factors of a graph's fronts, and scratch memory worth keeping between calls.
pub(super) struct Factors {
    store: Vec<f64>,
    /// Schur complements not yet used up by all their users.
    schur: Vec<Vec<f64>>,
    spare: Vec<Vec<f64>>,
    row_of: Vec<u32>,
    embedding: Embedding,
    vector: Vec<f64>,
}

impl Factors {
    pub fn new() -> Self {
        Factors {
            store: Vec::new(),
            schur: Vec::new(),
            spare: Vec::new(),
            row_of: Vec::new(),
            embedding: Embedding::default(),
            vector: Vec::new(),
        }
    }

    /// Doubles held, used or not.
    pub fn capacity(&self) -> usize {
        self.store.capacity() + self.spare.iter().map(Vec::capacity).sum::<usize>()
    }

    /// Factorises every front of the graph.
    pub fn factorise(&mut self, graph: &Graph, kind: Kind, host: &dyn Host) -> Result<()> {
        if self.store.len() < graph.cost.factor_len {
            // Not `resize`, which would copy what is no longer needed.
            self.store = Vec::new();
            self.store = zeroed(graph.cost.factor_len)?;
        }
        self.schur.clear();
        self.schur.resize_with(graph.nodes.len(), Vec::new);
        let mut users_left: Vec<u32> = graph.nodes.iter().map(|node| node.users).collect();
        let mut work = 0.0;
        for (number, node) in graph.nodes.iter().enumerate() {
            work += node.shape.work();
            if work > POLL_WORK {
                work = 0.0;
                host.check()?;
            }
            let mut schur = self.spare.pop().unwrap_or_default();
            schur.clear();
            schur.resize(node.shape.schur_len(), 0.0);
            let mut factor = std::mem::take(&mut self.store);
            let front = &mut factor[node.factor_from..node.factor_from + node.shape.factor_len()];
            // Only now, so that it is in the cache when it is needed.
            front.fill(0.0);
            self.assemble(graph, node, kind, front, &mut schur);
            for placed in &graph.children[node.children_from..node.children_from + node.children] {
                let left = &mut users_left[placed.node as usize];
                *left -= 1;
                if *left == 0 {
                    self.spare.push(std::mem::take(&mut self.schur[placed.node as usize]));
                }
            }
            let done = Self::eliminate_front(node, front, &mut schur, host);
            self.store = factor;
            if !done? {
                return Err(no_unique_solution());
            }
            if node.users > 0 {
                self.schur[number] = schur;
            } else {
                self.spare.push(schur);
            }
        }
        Ok(())
    }

    /// Sums up the matrix entries of the pivots and the Schur complements of the children.
    fn assemble(
        &mut self,
        graph: &Graph,
        node: &Node,
        kind: Kind,
        front: &mut [f64],
        schur: &mut [f64],
    ) {
        let shape = node.shape;
        let spots = &graph.spots[node.spots_from..node.spots_from + shape.pivots + node.boundary];
        let (pivots, boundary) = spots.split_at(shape.pivots);
        let index = |spot: Spot| usize::from(spot.dy) * node.width + usize::from(spot.dx);
        if self.row_of.len() < node.width * node.height {
            self.row_of.resize(node.width * node.height, NOWHERE);
        }
        for (row, &spot) in pivots.iter().enumerate() {
            self.row_of[index(spot)] = row as u32;
        }
        for (row, &spot) in boundary.iter().enumerate() {
            self.row_of[index(spot)] = (shape.boundary_row() + row) as u32;
        }
        let stride = shape.factor_stride();
        let operator = local_operator(node, kind);
        for (column, &spot) in pivots.iter().enumerate() {
            // Window coordinates are image coordinates of an image that is cut to the window (see below).
            let (y, x) = operator.place(spot);
            front[column / PANEL * stride + PANEL * column + column % PANEL] =
                operator.operator.diagonal(y, x);
            let inner = operator.operator.is_inner(y, x);
            for &step in kind.steps() {
                let at = index(spot) as isize
                    + step.dy as isize * node.width as isize
                    + step.dx as isize;
                let row = self.row_of[at as usize];
                if row != NOWHERE && row as usize > column {
                    let row = row as usize;
                    let weight =
                        if inner { step.weight } else { operator.operator.weight(y, x, step) };
                    front[row / PANEL * stride + PANEL * column + row % PANEL] = weight;
                }
            }
        }
        for column in shape.pivots..shape.boundary_row() {
            front[column / PANEL * stride + PANEL * column + column % PANEL] = 1.0;
        }
        for placed in &graph.children[node.children_from..node.children_from + node.children] {
            let child = &graph.nodes[placed.node as usize];
            let spots = &graph.spots[child.spots_from + child.shape.pivots..][..child.boundary];
            let corner = placed.dy as usize * node.width + placed.dx as usize;
            let embedding = &mut self.embedding;
            embedding.rows.clear();
            let row_of = &self.row_of;
            let front_rows = || {
                spots
                    .iter()
                    .enumerate()
                    .map(|(number, &spot)| (number as u32, row_of[corner + index(spot)]))
            };
            embedding.rows.extend(front_rows().filter(|&(_, row)| (row as usize) < shape.pivots));
            embedding.pivots = embedding.rows.len();
            embedding.rows.extend(front_rows().filter(|&(_, row)| (row as usize) >= shape.pivots));
            embedding.extend_add(&self.schur[placed.node as usize], shape, front, schur);
        }
        for &spot in spots {
            self.row_of[index(spot)] = NOWHERE;
        }
    }

    fn eliminate_front(
        node: &Node,
        front: &mut [f64],
        schur: &mut [f64],
        host: &dyn Host,
    ) -> Result<bool> {
        let shape = node.shape;
        let per_column = shape.work() / (shape.pivot_panels + shape.boundary_panels).max(1) as f64;
        let mut work = 0.0;
        let mut poll = || {
            work += per_column;
            if work > POLL_WORK {
                work = 0.0;
                host.check()?;
            }
            Ok(())
        };
        for column in 0..shape.pivot_panels {
            poll()?;
            if !simd::run(Eliminate { shape, factor: front, column }) {
                return Ok(false);
            }
        }
        for column in 0..shape.boundary_panels {
            poll()?;
            simd::run(Reduce { shape, factor: front, schur, column });
        }
        Ok(true)
    }

    /// Solves for the components with the given topmost nodes. `x` holds the right-hand sides, `C` doubles
    /// per pixel of a rectangle `width` pixels wide, and receives the solution.
    pub fn solve<const C: usize>(
        &mut self,
        graph: &Graph,
        roots: &[Placed],
        width: usize,
        x: &mut [f64],
        host: &dyn Host,
    ) -> Result<()> {
        let poll = &mut Poll { host, work: 0 };
        for &root in roots {
            self.forward_from::<C>(graph, root, width, x, poll)?;
        }
        for &root in roots {
            self.backward_from::<C>(graph, root, width, x, poll)?;
        }
        Ok(())
    }

    fn forward_from<const C: usize>(
        &mut self,
        graph: &Graph,
        placed: Placed,
        width: usize,
        x: &mut [f64],
        poll: &mut Poll,
    ) -> Result<()> {
        let node = &graph.nodes[placed.node as usize];
        poll.add(node.shape.factor_len())?;
        for child in &graph.children[node.children_from..node.children_from + node.children] {
            let child =
                Placed { node: child.node, dy: child.dy + placed.dy, dx: child.dx + placed.dx };
            self.forward_from::<C>(graph, child, width, x, poll)?;
        }
        let rows = node.shape.rows();
        self.gather::<C>(graph, node, placed, width, x, false);
        simd::run(Forward::<C> {
            shape: node.shape,
            factor: &self.store[node.factor_from..][..node.shape.factor_len()],
            v: &mut self.vector[..C * rows],
        });
        let spots =
            &graph.spots[node.spots_from..node.spots_from + node.shape.pivots + node.boundary];
        let (pivots, boundary) = spots.split_at(node.shape.pivots);
        scatter::<C>(pivots, placed, width, x, (&self.vector, rows, 0), |old, new| *old = new);
        let from = node.shape.boundary_row();
        scatter::<C>(boundary, placed, width, x, (&self.vector, rows, from), |old, new| {
            *old += new;
        });
        Ok(())
    }

    fn backward_from<const C: usize>(
        &mut self,
        graph: &Graph,
        placed: Placed,
        width: usize,
        x: &mut [f64],
        poll: &mut Poll,
    ) -> Result<()> {
        let node = &graph.nodes[placed.node as usize];
        poll.add(node.shape.factor_len())?;
        let rows = node.shape.rows();
        self.gather::<C>(graph, node, placed, width, x, true);
        simd::run(Backward::<C> {
            shape: node.shape,
            factor: &self.store[node.factor_from..][..node.shape.factor_len()],
            v: &mut self.vector[..C * rows],
        });
        let pivots = &graph.spots[node.spots_from..node.spots_from + node.shape.pivots];
        scatter::<C>(pivots, placed, width, x, (&self.vector, rows, 0), |old, new| *old = new);
        for child in &graph.children[node.children_from..node.children_from + node.children] {
            let child =
                Placed { node: child.node, dy: child.dy + placed.dy, dx: child.dx + placed.dx };
            self.backward_from::<C>(graph, child, width, x, poll)?;
        }
        Ok(())
    }

    /// Copies the front's part of `x` to the dense vector; without the boundary there are zeros instead.
    fn gather<const C: usize>(
        &mut self,
        graph: &Graph,
        node: &Node,
        placed: Placed,
        width: usize,
        x: &[f64],
        with_boundary: bool,
    ) {
        let rows = node.shape.rows();
        if self.vector.len() < C * rows {
            self.vector.resize(C * rows, 0.0);
        }
        let vector = &mut self.vector[..C * rows];
        let spots =
            &graph.spots[node.spots_from..node.spots_from + node.shape.pivots + node.boundary];
        let (pivots, boundary) = spots.split_at(node.shape.pivots);
        let from = node.shape.boundary_row();
        let mut lines = vector.chunks_exact_mut(rows);
        let mut lines: [&mut [f64]; C] = std::array::from_fn(|_| lines.next().unwrap_or_default());
        let mut copy = |spots: &[Spot], from: usize| {
            let lines = lines.each_mut().map(|line| &mut line[from..from + spots.len()]);
            for (row, &spot) in spots.iter().enumerate() {
                let at = C * pixel_at(placed, spot, width);
                let pixel = &x[at..at + C];
                for c in 0..C {
                    lines[c][row] = pixel[c];
                }
            }
        };
        copy(pivots, 0);
        if with_boundary {
            copy(boundary, from);
        }
        for c in 0..C {
            vector[c * rows + node.shape.pivots..c * rows + from].fill(0.0);
            let filled = if with_boundary { node.boundary } else { 0 };
            vector[c * rows + from + filled..(c + 1) * rows].fill(0.0);
        }
    }
}

/// Cannot happen while there is a visible pixel, and all of them are finite.
#[cold]
fn no_unique_solution() -> Error {
    let expected = "such that visible, finite pixels decide what the hidden ones are";
    let got = "one that leaves the equations without a unique solution";
    Error::argument("solve_pde", "mask", expected, got)
}

/// Looks at the cancel flag now and then.
struct Poll<'a> {
    host: &'a dyn Host,
    work: usize,
}

impl Poll<'_> {
    fn add(&mut self, work: usize) -> Result<()> {
        self.work += work;
        if self.work > POLL_DOUBLES {
            self.work = 0;
            self.host.check()?;
        }
        Ok(())
    }
}

fn pixel_at(placed: Placed, spot: Spot, width: usize) -> usize {
    (placed.dy + i32::from(spot.dy)) as usize * width + (placed.dx + i32::from(spot.dx)) as usize
}

/// Hands every spot's pixel and the value of its row in the dense vector, from row `from` on, to `write`.
fn scatter<const C: usize>(
    spots: &[Spot],
    placed: Placed,
    width: usize,
    x: &mut [f64],
    (vector, rows, from): (&[f64], usize, usize),
    write: impl Fn(&mut f64, f64),
) {
    let lines: [&[f64]; C] = std::array::from_fn(|c| &vector[c * rows + from..][..spots.len()]);
    for (row, &spot) in spots.iter().enumerate() {
        let at = C * pixel_at(placed, spot, width);
        let pixel = &mut x[at..at + C];
        for c in 0..C {
            write(&mut pixel[c], lines[c][row]);
        }
    }
}

/// An operator whose image just contains the window, with its borders where the node has them.
struct LocalOperator {
    operator: Operator,
    shift_y: i32,
    shift_x: i32,
}

impl LocalOperator {
    fn place(&self, spot: Spot) -> (i32, i32) {
        (i32::from(spot.dy) + self.shift_y, i32::from(spot.dx) + self.shift_x)
    }
}

fn local_operator(node: &Node, kind: Kind) -> LocalOperator {
    use super::ordering::MARGIN;
    // The set's rectangle begins at window row MARGIN, and lies border[0] rows from the top of the image.
    let [top, left, bottom, right] = node.border.map(i32::from);
    let margin = MARGIN as i32;
    LocalOperator {
        operator: Operator {
            kind,
            height: node.height as i32 - 2 * margin + top + bottom,
            width: node.width as i32 - 2 * margin + left + right,
        },
        shift_y: top - margin,
        shift_x: left - margin,
    }
}
