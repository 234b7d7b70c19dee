//! An order of the states in which neighbours are close: incomplete factors are then nearly complete.
//!
//! Reverse Cuthill-`McKee` (Cuthill and `McKee` 1969, George 1971), started from a state far out.

use super::model::Model;

/// A better order: who comes k-th. `None` where there is none to be expected: states are in order
/// already, or everything is a few steps from everything.
pub fn better_order(model: &Model) -> Option<Vec<u32>> {
    let states = model.states();
    if states < 64 || !model.is_scattered() {
        return None;
    }
    let graph = Graph::of(model);
    let mut order = Vec::with_capacity(states);
    let mut level = vec![u32::MAX; states];
    let mut found = vec![false; states];
    for start in 0..states {
        if found[start] {
            continue;
        }
        let far = graph.far_from(start, &mut level);
        let depth = graph.visit(far, &mut found, &mut order);
        let visited = order.len();
        if visited * 2 > states && depth * depth * 4 < states.min(40_000) {
            return None;
        }
    }
    order.reverse();
    Some(order)
}

/// Who leads to whom, in both directions.
struct Graph {
    start: Vec<usize>,
    neighbours: Vec<u32>,
}

impl Graph {
    fn of(model: &Model) -> Self {
        let states = model.states();
        let mut count = vec![0_usize; states + 1];
        let mut edges = Vec::new();
        let mut seen = vec![u32::MAX; states];
        for state in 0..states {
            for pair in model.pairs_of(state) {
                for &column in model.row(pair).0 {
                    if column as usize != state && seen[column as usize] != state as u32 {
                        seen[column as usize] = state as u32;
                        edges.push((state as u32, column));
                        count[state + 1] += 1;
                        count[column as usize + 1] += 1;
                    }
                }
            }
        }
        for state in 0..states {
            count[state + 1] += count[state];
        }
        let start = count.clone();
        let mut neighbours = vec![0; edges.len() * 2];
        for (a, b) in edges {
            neighbours[count[a as usize]] = b;
            count[a as usize] += 1;
            neighbours[count[b as usize]] = a;
            count[b as usize] += 1;
        }
        Self { start, neighbours }
    }

    fn of_state(&self, state: u32) -> &[u32] {
        &self.neighbours[self.start[state as usize]..self.start[state as usize + 1]]
    }

    /// The last of a breadth-first visit; `level` is scratch and comes back as it was.
    fn far_from(&self, start: usize, level: &mut [u32]) -> u32 {
        let mut queue = vec![start as u32];
        level[start] = 0;
        let mut next = 0;
        while let Some(&state) = queue.get(next) {
            next += 1;
            for &neighbour in self.of_state(state) {
                if level[neighbour as usize] == u32::MAX {
                    level[neighbour as usize] = 0;
                    queue.push(neighbour);
                }
            }
        }
        for &state in &queue {
            level[state as usize] = u32::MAX;
        }
        queue[queue.len() - 1]
    }

    /// Visits what can be reached, breadth first, those with few neighbours first; returns the depth.
    fn visit(&self, start: u32, found: &mut [bool], order: &mut Vec<u32>) -> usize {
        found[start as usize] = true;
        let mut next = order.len();
        let mut end_of_level = next + 1;
        let mut depth = 1;
        order.push(start);
        while next < order.len() {
            if next == end_of_level {
                end_of_level = order.len();
                depth += 1;
            }
            let state = order[next];
            next += 1;
            let first = order.len();
            for &neighbour in self.of_state(state) {
                if !std::mem::replace(&mut found[neighbour as usize], true) {
                    order.push(neighbour);
                }
            }
            order[first..].sort_by_key(|&neighbour| self.of_state(neighbour).len());
        }
        depth
    }
}
