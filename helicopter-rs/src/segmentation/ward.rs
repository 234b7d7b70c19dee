//! Ward's criterion on the region adjacency graph: of all pairs that touch, the cheapest becomes one,
//! until as many regions are left as were asked for.

#![expect(
    clippy::float_cmp,
    reason = "of what costs exactly the same, the rule says who comes first"
)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::atoms::Atoms;
use super::region::Region;
use crate::error::Result;
use crate::host::Host;

/// A caller is asked once in so many merges whether it wants more.
const MERGES_PER_CHECK: usize = 4096;
/// What stands for "no neighbour".
const NONE: u32 = u32::MAX;

/// The regions that are left, by the atoms they are made of.
///
/// Of pairs that cost the same, the one with the lowest number comes first, then the one whose other
/// number is lowest; the merged region goes by its lower number.
pub fn merge(
    atoms: Atoms,
    count: usize,
    spatial: f64,
    host: &dyn Host,
) -> Result<(Vec<u32>, Vec<u32>)> {
    let Atoms { labels, regions, edges } = atoms;
    let mut left = regions.len();
    let mut graph = Graph::new(regions, &edges, spatial);
    drop(edges);
    while left > count {
        if left % MERGES_PER_CHECK == 0 {
            host.check()?;
        }
        if !graph.merge_cheapest() {
            break;
        }
        left -= 1;
    }
    Ok((labels, graph.roots()))
}

/// A region, its nearest neighbour, and where the list of its neighbours lies.
#[derive(Clone, Copy)]
struct Node {
    region: Region,
    start: u32,
    length: u32,
    room: u32,
    nearest: u32,
}

struct Graph {
    nodes: Vec<Node>,
    /// Cost of the merge with the nearest neighbour; infinite for what has been merged.
    best: Vec<f32>,
    parent: Vec<u32>,
    /// Lists of neighbours with what a merge with each would cost.
    neighbours: Vec<(u32, f32)>,
    /// Cost (as bits, which sort as the costs do) and number; entries that are out of date are left
    /// where they are and passed over.
    queue: BinaryHeap<Reverse<u64>>,
    seen: Vec<u32>,
    stamp: u32,
    spatial: f64,
    joint: Vec<(u32, f32)>,
}

fn key(cost: f32, number: u32) -> Reverse<u64> {
    Reverse(u64::from(cost.to_bits()) << 32 | u64::from(number))
}

impl Graph {
    fn new(regions: Vec<Region>, edges: &[(u32, u32)], spatial: f64) -> Self {
        let count = regions.len();
        let mut nodes: Vec<Node> = regions
            .into_iter()
            .map(|region| Node { region, start: 0, length: 0, room: 0, nearest: NONE })
            .collect();
        for &(a, b) in edges {
            nodes[a as usize].room += 1;
            nodes[b as usize].room += 1;
        }
        let mut start = 0;
        for node in &mut nodes {
            node.start = start;
            start += node.room;
        }
        let mut neighbours = vec![(0, 0.0); start as usize];
        let mut best = vec![f32::INFINITY; count];
        for &(a, b) in edges {
            let cost = nodes[a as usize].region.cost(&nodes[b as usize].region, spatial);
            for (own, other) in [(a, b), (b, a)] {
                let node = &mut nodes[own as usize];
                neighbours[(node.start + node.length) as usize] = (other, cost);
                node.length += 1;
                if nearer((other, cost), (node.nearest, best[own as usize])) {
                    (node.nearest, best[own as usize]) = (other, cost);
                }
            }
        }
        let queue = best.iter().zip(0..).map(|(&cost, number)| key(cost, number)).collect();
        Self {
            nodes,
            best,
            parent: (0..count as u32).collect(),
            neighbours,
            queue,
            seen: vec![0; count],
            stamp: 0,
            spatial,
            joint: Vec::new(),
        }
    }

    /// Merges the cheapest pair; false if there is none.
    fn merge_cheapest(&mut self) -> bool {
        let (own, other) = loop {
            let Some(Reverse(entry)) = self.queue.pop() else { return false };
            let number = entry as u32;
            let cost = f32::from_bits((entry >> 32) as u32);
            if cost == self.best[number as usize] && cost < f32::INFINITY {
                break (number, self.nodes[number as usize].nearest);
            }
        };
        let (kept, gone) = (own.min(other), own.max(other));
        let (first, second) = (self.nodes[kept as usize], self.nodes[gone as usize]);
        let region = first.region.with(&second.region);
        self.parent[gone as usize] = kept;
        self.best[gone as usize] = f32::INFINITY;

        self.gather(kept, &first, gone);
        self.gather(gone, &second, kept);
        let mut joint = std::mem::take(&mut self.joint);
        let mut nearest = (NONE, f32::INFINITY);
        for (number, cost) in &mut joint {
            *cost = region.cost(&self.nodes[*number as usize].region, self.spatial);
            if nearer((*number, *cost), nearest) {
                nearest = (*number, *cost);
            }
            self.replace(*number, kept, gone, *cost);
        }
        let length = joint.len() as u32;
        let (start, room) = if first.room >= length {
            (first.start, first.room)
        } else if second.room >= length {
            (second.start, second.room)
        } else {
            let start = self.neighbours.len();
            self.neighbours.resize(start + joint.len(), (0, 0.0));
            (start as u32, length)
        };
        self.neighbours[start as usize..(start + length) as usize].copy_from_slice(&joint);
        joint.clear();
        self.joint = joint;
        self.nodes[kept as usize] = Node { region, start, length, room, nearest: nearest.0 };
        self.best[kept as usize] = nearest.1;
        self.queue.push(key(nearest.1, kept));
        true
    }

    /// Adds to `joint` the neighbours of a node but one, unless they are there.
    fn gather(&mut self, number: u32, node: &Node, but: u32) {
        if number < but {
            self.stamp += 1; // the lower number comes first
        }
        let list = &self.neighbours[node.start as usize..(node.start + node.length) as usize];
        for &(other, _) in list {
            if other != but && self.seen[other as usize] != self.stamp {
                self.seen[other as usize] = self.stamp;
                self.joint.push((other, 0.0));
            }
        }
    }

    /// Tells a neighbour that `kept` is now what `kept` and `gone` were, and at what cost.
    fn replace(&mut self, number: u32, kept: u32, gone: u32, cost: f32) {
        let node = &mut self.nodes[number as usize];
        let list = &mut self.neighbours[node.start as usize..(node.start + node.length) as usize];
        let mut nearest = (NONE, f32::INFINITY);
        let (mut length, mut found) = (0, false);
        for i in 0..list.len() {
            let mut entry = list[i];
            if entry.0 == kept || entry.0 == gone {
                if found {
                    continue;
                }
                found = true;
                entry = (kept, cost);
            }
            list[length] = entry;
            length += 1;
            if nearer(entry, nearest) {
                nearest = entry;
            }
        }
        node.length = length as u32;
        node.nearest = nearest.0;
        let best = &mut self.best[number as usize];
        if *best != nearest.1 {
            *best = nearest.1;
            self.queue.push(key(nearest.1, number));
        }
    }

    /// The region that each atom belongs to.
    fn roots(mut self) -> Vec<u32> {
        // a parent has a lower number, so it has its root already
        for i in 0..self.parent.len() {
            self.parent[i] = self.parent[self.parent[i] as usize];
        }
        self.parent
    }
}

#[inline(always)]
fn nearer(one: (u32, f32), other: (u32, f32)) -> bool {
    one.1 < other.1 || one.1 == other.1 && one.0 < other.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::NoHost;

    /// The definition: look at all pairs, merge the cheapest, look again.
    fn plainly(
        mut regions: Vec<Region>,
        edges: &[(u32, u32)],
        count: usize,
        spatial: f64,
    ) -> Vec<u32> {
        let mut roots: Vec<u32> = (0..regions.len() as u32).collect();
        for _ in count..regions.len() {
            let pairs = edges.iter().map(|&(a, b)| (roots[a as usize], roots[b as usize]));
            let (_, kept, gone) = pairs
                .filter(|(a, b)| a != b)
                .map(|(a, b)| (a.min(b), a.max(b)))
                .map(|(a, b)| (regions[a as usize].cost(&regions[b as usize], spatial), a, b))
                .min_by(|one, other| one.partial_cmp(other).expect("costs are numbers"))
                .expect("a grid hangs together");
            regions[kept as usize] = regions[kept as usize].with(&regions[gone as usize]);
            roots.iter_mut().filter(|root| **root == gone).for_each(|root| *root = kept);
        }
        roots
    }

    fn grid(height: usize, width: usize, levels: usize, seed: usize) -> Atoms {
        let value = |y: usize, x: usize, k: usize| {
            let mixed = (y * 7919 + x * 104_729 + k * 31 + seed * 65_537) as u32;
            let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA6B);
            ((mixed ^ (mixed >> 13)) as usize % levels) as f64 * 100.0
        };
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
        let regions = places.clone().map(|(y, x)| Region {
            count: 1.0 + value(y, x, 3) / 100.0,
            mean: [value(y, x, 0), value(y, x, 1), value(y, x, 2)],
            place: [y as f64, x as f64],
        });
        let number = |y: usize, x: usize| (y * width + x) as u32;
        let edges = places.flat_map(|(y, x)| {
            let right = (x + 1 < width).then(|| (number(y, x), number(y, x + 1)));
            let below = (y + 1 < height).then(|| (number(y, x), number(y + 1, x)));
            right.into_iter().chain(below)
        });
        Atoms {
            labels: (0..(height * width) as u32).collect(),
            edges: edges.collect(),
            regions: regions.collect(),
        }
    }

    #[test]
    fn merges_are_those_of_the_definition() {
        for (seed, levels) in [1, 2, 3, 256].into_iter().enumerate() {
            for (height, width) in [(1, 1), (1, 40), (2, 2), (7, 9), (12, 11)] {
                for count in [1, 2, 5, 30, 1000] {
                    for spatial in [0.0, 5.0] {
                        let atoms = grid(height, width, levels, seed);
                        let count = count.min(height * width);
                        let (regions, edges) = (atoms.regions.clone(), atoms.edges.clone());
                        let (_, roots) = merge(atoms, count, spatial, &NoHost).unwrap();
                        assert_eq!(
                            roots,
                            plainly(regions, &edges, count, spatial),
                            "{height} x {width}, {levels} levels, {count}, {spatial}"
                        );
                    }
                }
            }
        }
    }
}
