//! In which order rows are computed, and how many of each map are kept.
//!
//! Nothing is computed before somebody needs it, and then a few rows at a time, which are used while
//! they are still in the cache. Of each map only those rows are kept that somebody will look at again.
//! What is computed does not depend on any of this, only when.

use std::ops::Range;

use super::graph::{Graph, Need};
use super::rows::Shape;
use super::winograd::TILE;

/// Tiles of a convolution computed at a time by each thread, at least, where the map has as many.
const TILES_AT_ONCE: usize = 128;

/// The part of the network's maps that is computed.
pub(super) struct Plan {
    /// Rows and columns of each map.
    pub rows: Vec<Range<usize>>,
    pub cols: Vec<Range<usize>>,
    /// Rows of the whole of the map of level 0, padding included.
    pub height: usize,
    /// Rows of each map that must be kept at a time.
    pub capacity: Vec<usize>,
    chunk: Vec<usize>,
}

impl Plan {
    /// What is needed for these pixels of an image of `size`.
    pub fn new(
        graph: &Graph,
        (height, width): (usize, usize),
        pixel_rows: &Range<usize>,
        pixel_cols: &Range<usize>,
        threads: usize,
    ) -> Self {
        let level_0 = |side: usize| side.next_multiple_of(graph.unit()) / 2;
        let half = |range: &Range<usize>| range.start / 2..range.end.div_ceil(2);
        let rows = graph.windows(half(pixel_rows), level_0(height));
        let cols = graph.windows(half(pixel_cols), level_0(width));
        let chunk = graph
            .nodes
            .iter()
            .enumerate()
            .map(|(index, _)| {
                let across = cols[index].len().div_ceil(TILE).max(1);
                (TILES_AT_ONCE * threads.min(4)).div_ceil(across).min(1 << 20) * TILE
            })
            .collect();
        let capacity = vec![1; graph.nodes.len()];
        let mut plan = Self { rows, cols, height: level_0(height), capacity, chunk };
        plan.capacity = plan.rehearse(graph);
        plan
    }

    /// Goes through all steps without computing anything, to see how many rows are kept.
    fn rehearse(&self, graph: &Graph) -> Vec<usize> {
        let mut capacity = vec![1; graph.nodes.len()];
        let users: Vec<Vec<usize>> = (0..graph.nodes.len())
            .map(|index| {
                let uses = |user: &usize| graph.nodes[*user].inputs().any(|(i, _)| i == index);
                (0..graph.nodes.len()).filter(uses).collect()
            })
            .collect();
        let step = |done: &[usize], index: usize, rows: Range<usize>| -> Result<(), ()> {
            let still = |&user: &usize| {
                let (at, end) = (done[user], self.rows[user].end);
                let needs = graph.nodes[user].inputs().filter(|&(input, _)| input == index);
                needs
                    .filter(|_| at < end)
                    .map(|(_, need)| need.of(&(at..at + 1), usize::MAX).start)
                    .min()
            };
            let oldest = users[index].iter().filter_map(still).min().unwrap_or(rows.start);
            capacity[index] = capacity[index].max(rows.end - oldest.min(rows.start));
            Ok(())
        };
        let ran: Result<(), ()> = self.run(graph, step);
        debug_assert!(ran.is_ok());
        capacity
    }

    /// Takes all steps: `step(done, node, rows)` computes some rows of a map.
    pub fn run<E>(
        &self,
        graph: &Graph,
        step: impl FnMut(&[usize], usize, Range<usize>) -> Result<(), E>,
    ) -> Result<(), E> {
        let done = self.rows.iter().map(|rows| rows.start).collect();
        Walk { plan: self, graph, done, step }.advance(graph.last(), usize::MAX, false)
    }

    /// Whether some rows of a map can be computed when so many rows are done of each: what they are
    /// computed from is there and has not been written over, and there is room for them.
    pub fn allows(&self, graph: &Graph, done: &[usize], index: usize, rows: &Range<usize>) -> bool {
        let kept = |(input, need): (usize, Need)| {
            let needed = need.of(rows, self.height >> graph.nodes[input].level);
            let oldest = done[input].saturating_sub(self.capacity[input]);
            needed.is_empty()
                || needed.start >= oldest.max(self.rows[input].start) && needed.end <= done[input]
        };
        rows.len() <= self.capacity[index] && graph.nodes[index].inputs().all(kept)
    }

    /// The rows that are kept of each map.
    pub fn shapes(&self, graph: &Graph) -> Vec<Shape> {
        let maps = graph.nodes.iter().zip(&self.capacity).zip(&self.cols);
        maps.map(|((node, &capacity), cols)| Shape {
            capacity,
            cols: cols.clone(),
            blocks: node.blocks,
        })
        .collect()
    }
}

/// How far the work has come.
struct Walk<'a, S> {
    plan: &'a Plan,
    graph: &'a Graph,
    /// Rows of each map that are done.
    done: Vec<usize>,
    step: S,
}

impl<E, S: FnMut(&[usize], usize, Range<usize>) -> Result<(), E>> Walk<'_, S> {
    /// Computes the rows of a map before `to`, and whatever is needed for them. `steady` says that who
    /// asks takes steps of the same size: then no more is computed than was asked for, or else every
    /// layer of a level would run ahead of the next by a whole step.
    fn advance(&mut self, index: usize, to: usize, steady: bool) -> Result<(), E> {
        let graph = self.graph;
        let node = &graph.nodes[index];
        let (end, chunk) = (self.plan.rows[index].end, self.plan.chunk[index]);
        let to = to.min(end);
        while self.done[index] < to {
            let start = self.done[index];
            let enough = if steady && to - start < 2 * chunk {
                to.next_multiple_of(node.alignment())
            } else {
                (start + chunk).next_multiple_of(node.alignment())
            };
            let rows = start..enough.min(end);
            for (input, need) in node.inputs() {
                let level = graph.nodes[input].level;
                let needed = need.of(&rows, self.plan.height >> level);
                self.advance(input, needed.end, level == node.level)?;
            }
            (self.step)(&self.done, index, rows.clone())?;
            self.done[index] = rows.end;
        }
        Ok(())
    }
}
