//! The first merges, within cells of 8 x 8 pixels: every pixel joins the neighbour most like it, then
//! every group of pixels does. What no cell can tell is left to `ward`; borders of cells disappear there.

use rayon::prelude::*;

use super::features::{Feature, Features};
use super::region::Region;
use crate::error::Result;
use crate::host::Host;
use crate::utils::simd::{self, Kernel, Simd};

/// Side of a cell; one bit of a word for each of its pixels.
const CELL: usize = 8;
const PIXELS: usize = CELL * CELL;

/// The atoms of an image, numbered cell by cell and within a cell by their first pixel.
pub struct Atoms {
    /// Number of each pixel's atom.
    pub labels: Vec<u32>,
    pub regions: Vec<Region>,
    /// Pairs of atoms that touch, the lower number first, each once.
    pub edges: Vec<(u32, u32)>,
}

/// How groups of pixels are compared.
#[derive(Debug, Clone, Copy)]
pub struct Joining {
    /// Weight of places against features.
    pub spatial: f64,
    /// What costs as much is left for later.
    pub cap: f32,
}

/// What one row of cells holds.
struct Strip {
    regions: Vec<Region>,
    edges: Vec<(u32, u32)>,
}

/// Makes the atoms of an image by `rounds` of merging, the one of pixels included.
pub fn atoms(
    features: &impl Features,
    rounds: usize,
    weights: Joining,
    host: &dyn Host,
) -> Result<Atoms> {
    let (height, width) = features.dim();
    let mut labels = vec![0; height * width];
    let strips: Vec<Strip> = labels
        .par_chunks_mut(CELL * width)
        .enumerate()
        .map(|(number, labels)| {
            host.check()?;
            Ok(simd::run(Cells { features, top: number * CELL, labels, rounds, weights }))
        })
        .collect::<Result<_>>()?;
    let mut offsets = Vec::with_capacity(strips.len());
    let mut total = 0;
    for strip in &strips {
        offsets.push(total as u32);
        total += strip.regions.len();
    }
    labels.par_chunks_mut(CELL * width).zip(&offsets).for_each(|(labels, &offset)| {
        for label in labels {
            *label += offset;
        }
    });
    let across: Vec<Vec<(u32, u32)>> = labels
        .par_chunks(CELL * width)
        .enumerate()
        .map(|(number, own)| {
            let below = labels.get((number + 1) * CELL * width..).filter(|rest| !rest.is_empty());
            edges_across(own, below.map(|rest| &rest[..width]), width)
        })
        .collect();
    let mut regions = Vec::with_capacity(total);
    let mut edges = Vec::with_capacity(
        strips.iter().map(|s| s.edges.len()).sum::<usize>()
            + across.iter().map(Vec::len).sum::<usize>(),
    );
    for ((strip, across), offset) in strips.into_iter().zip(across).zip(offsets) {
        regions.extend(strip.regions);
        edges.extend(strip.edges.into_iter().map(|(a, b)| (a + offset, b + offset)));
        edges.extend(across);
    }
    Ok(Atoms { labels, regions, edges })
}

/// Pairs of atoms that touch across the borders of cells: to the right and downwards.
fn edges_across(own: &[u32], below: Option<&[u32]>, width: usize) -> Vec<(u32, u32)> {
    let mut edges = Vec::new();
    let mut seen_from = 0;
    let mut add = |edge: (u32, u32), from: usize| {
        if !edges[from..].contains(&edge) {
            edges.push(edge);
        }
        edges.len()
    };
    let last = &own[own.len() - width..];
    for left in (0..width).step_by(CELL) {
        let right = (left + CELL).min(width);
        let from = seen_from;
        if right < width {
            for row in own.chunks_exact(width) {
                seen_from = add((row[right - 1], row[right]), from);
            }
        }
        let from = seen_from;
        if let Some(below) = below {
            for x in left..right {
                seen_from = add((last[x], below[x]), from);
            }
        }
    }
    edges
}

/// One row of cells, to be done.
struct Cells<'a, F> {
    features: &'a F,
    top: usize,
    labels: &'a mut [u32],
    rounds: usize,
    weights: Joining,
}

impl<F: Features> Kernel for Cells<'_, F> {
    type Output = Strip;

    #[inline(always)]
    fn run<S: Simd>(self) -> Strip {
        let Self { features, top, labels, rounds, weights } = self;
        let (_, width) = features.dim();
        let height = labels.len() / width;
        let mut rows = vec![[0; 4]; CELL * width];
        for (y, row) in rows.chunks_exact_mut(width).take(height).enumerate() {
            features.row(top + y, row);
        }
        let mut strip = Strip { regions: Vec::new(), edges: Vec::new() };
        let mut cell = Cell::default();
        for left in (0..width).step_by(CELL) {
            cell.read(&rows, width, height, left);
            cell.corner = [top as f64, left as f64];
            cell.join_pixels(rounds > 0);
            cell.describe();
            for _ in 1..rounds {
                cell.join_groups(weights);
            }
            let base = strip.regions.len() as u32;
            strip.regions.extend(&cell.groups[..cell.count]);
            for a in 0..cell.count {
                for b in Bits(cell.touching[a] >> a >> 1) {
                    strip.edges.push((base + a as u32, base + (a + 1 + b) as u32));
                }
            }
            for (y, row) in labels.chunks_exact_mut(width).enumerate() {
                let ids = &cell.group[y * CELL..y * CELL + cell.width];
                for (label, &id) in row[left..].iter_mut().zip(ids) {
                    *label = base + u32::from(id);
                }
            }
        }
        strip
    }
}

/// The positions of the bits that are set.
struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;
    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let at = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(at)
    }
}

/// A cell at work; pixels are numbered row by row, eight to a row even where the image ends before.
struct Cell {
    corner: [f64; 2],
    height: usize,
    width: usize,
    features: [[i32; PIXELS]; 3],
    /// Group of each pixel.
    group: [u8; PIXELS],
    count: usize,
    groups: [Region; PIXELS],
    /// Of each group: number of pixels, sums of the three features, of rows and of columns.
    sums: [[i32; 6]; PIXELS],
    /// For each group a bit for every group that it touches.
    touching: [u64; PIXELS],
}

impl Default for Cell {
    fn default() -> Self {
        Self {
            corner: [0.0; 2],
            height: 0,
            width: 0,
            features: [[0; PIXELS]; 3],
            group: [0; PIXELS],
            count: 0,
            groups: [Region::default(); PIXELS],
            sums: [[0; 6]; PIXELS],
            touching: [0; PIXELS],
        }
    }
}

/// What stands for "there is no such neighbour".
const NOWHERE: u32 = u32::MAX;

impl Cell {
    #[inline(always)]
    fn read(&mut self, rows: &[Feature], width: usize, height: usize, left: usize) {
        (self.height, self.width) = (height, CELL.min(width - left));
        for y in 0..height {
            for x in 0..self.width {
                let feature = rows[y * width + left + x];
                for k in 0..3 {
                    self.features[k][y * CELL + x] = i32::from(feature[k]);
                }
            }
        }
    }

    /// Squared distances from each pixel to the one `step` further on.
    #[inline(always)]
    fn distances(&self, step: usize) -> [u32; PIXELS] {
        let mut out = [0; PIXELS];
        for i in 0..PIXELS - step {
            let d: [i32; 3] =
                std::array::from_fn(|k| self.features[k][i + step] - self.features[k][i]);
            out[i] = (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]) as u32;
        }
        out
    }

    /// Every pixel joins the most similar of its neighbours; of equals the right one, then the lower,
    /// the left and the upper one. Not at all if `joining` is false.
    #[inline(always)]
    fn join_pixels(&mut self, joining: bool) {
        let mut parent: [u8; PIXELS] = std::array::from_fn(|i| i as u8);
        if joining {
            let choice = self.nearest();
            for i in 0..PIXELS {
                parent[i] =
                    (i as i32 + [1, CELL as i32, -1, -(CELL as i32), 0][choice[i] as usize]) as u8;
            }
            // whoever chose each other are the root of a tree, the first of them its name; there are
            // no other cycles: of equals on a ring, one at its lower or upper edge would go back right
            for i in 0..PIXELS {
                let other = parent[i] as usize;
                if parent[other] as usize == i && i < other {
                    parent[i] = i as u8;
                }
            }
        }
        let mut number = [u8::MAX; PIXELS];
        self.count = 0;
        for y in 0..self.height {
            for i in y * CELL..y * CELL + self.width {
                let mut root = i;
                while parent[root] as usize != root {
                    root = parent[root] as usize;
                }
                parent[i] = root as u8;
                if number[root] == u8::MAX {
                    number[root] = self.count as u8;
                    self.count += 1;
                }
                self.group[i] = number[root];
            }
        }
    }

    /// Direction of the nearest neighbour: 0 right, 1 below, 2 left, 3 above, 4 none.
    #[inline(always)]
    fn nearest(&self) -> [u8; PIXELS] {
        let (mut across, mut down) = (self.distances(1), self.distances(CELL));
        for y in 0..CELL {
            across[y * CELL + self.width - 1..(y + 1) * CELL].fill(NOWHERE >> 2);
        }
        down[(self.height - 1) * CELL..].fill(NOWHERE >> 2);
        let mut best = [0_u32; PIXELS];
        for i in 0..PIXELS {
            best[i] = (across[i] << 2).min(down[i] << 2 | 1);
        }
        for i in 1..PIXELS {
            best[i] = best[i].min(across[i - 1] << 2 | 2);
        }
        for i in CELL..PIXELS {
            best[i] = best[i].min(down[i - CELL] << 2 | 3);
        }
        // distances are far below the mark of what does not exist
        std::array::from_fn(|i| if best[i] >> 2 == NOWHERE >> 2 { 4 } else { (best[i] & 3) as u8 })
    }

    /// Counts, means and neighbours of the groups.
    #[inline(always)]
    fn describe(&mut self) {
        self.sums[..self.count].fill([0; 6]);
        self.touching[..self.count].fill(0);
        for y in 0..self.height {
            for x in 0..self.width {
                let i = y * CELL + x;
                let own = self.group[i] as usize;
                let of_pixel = [
                    1,
                    self.features[0][i],
                    self.features[1][i],
                    self.features[2][i],
                    y as i32,
                    x as i32,
                ];
                for (sum, value) in self.sums[own].iter_mut().zip(of_pixel) {
                    *sum += value;
                }
                if x + 1 < self.width {
                    self.touch(own, self.group[i + 1] as usize);
                }
                if y + 1 < self.height {
                    self.touch(own, self.group[i + CELL] as usize);
                }
            }
        }
        for group in 0..self.count {
            self.touching[group] &= !(1 << group);
            self.set_region(group);
        }
    }

    #[inline(always)]
    fn touch(&mut self, one: usize, other: usize) {
        self.touching[one] |= 1 << other;
        self.touching[other] |= 1 << one;
    }

    #[inline(always)]
    fn set_region(&mut self, group: usize) {
        let [count, sums @ ..] = self.sums[group].map(f64::from);
        self.groups[group] = Region {
            count,
            mean: [sums[0] / count, sums[1] / count, sums[2] / count],
            place: [self.corner[0] + sums[3] / count, self.corner[1] + sums[4] / count],
        };
    }

    /// Every group joins the neighbour that costs least, of equals the one with the lower number;
    /// if that costs less than the cap.
    #[inline(always)]
    fn join_groups(&mut self, weights: Joining) {
        let mut best = [(weights.cap, u8::MAX); PIXELS];
        for a in 0..self.count {
            for b in Bits(self.touching[a] >> a >> 1).map(|b| a + 1 + b) {
                let cost = self.groups[a].cost(&self.groups[b], weights.spatial);
                if cost < best[a].0 {
                    best[a] = (cost, b as u8);
                }
                if cost < best[b].0 {
                    best[b] = (cost, a as u8);
                }
            }
        }
        let mut parent: [u8; PIXELS] = std::array::from_fn(|i| i as u8);
        for a in 0..self.count {
            if best[a].1 != u8::MAX {
                let (r, s) = (root(&mut parent, a), root(&mut parent, best[a].1 as usize));
                parent[r.max(s)] = r.min(s) as u8;
            }
        }
        // a root comes before all that it stands for, so nothing is overwritten that is still needed
        let mut number = [0_u8; PIXELS];
        let mut count = 0;
        for a in 0..self.count {
            let r = root(&mut parent, a);
            if r == a {
                number[a] = count as u8;
                self.sums[count] = self.sums[a];
                count += 1;
            } else {
                number[a] = number[r];
                let own = self.sums[a];
                let all = &mut self.sums[number[a] as usize];
                all.iter_mut().zip(own).for_each(|(sum, value)| *sum += value);
            }
        }
        let mut touching = [0_u64; PIXELS];
        for a in 0..self.count {
            let own = number[a] as usize;
            for b in Bits(self.touching[a]) {
                touching[own] |= 1 << number[b];
            }
        }
        for own in 0..count {
            self.touching[own] = touching[own] & !(1 << own);
            self.set_region(own);
        }
        self.count = count;
        for i in 0..PIXELS {
            self.group[i] = number[self.group[i] as usize];
        }
    }
}

#[inline(always)]
fn root(parent: &mut [u8; PIXELS], mut i: usize) -> usize {
    while parent[i] as usize != i {
        parent[i] = parent[parent[i] as usize];
        i = parent[i] as usize;
    }
    i
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ndarray::Array3;

    use super::*;
    use crate::host::NoHost;

    #[test]
    fn atoms_are_what_their_labels_say() {
        let weights = Joining { spatial: 2.0, cap: 1e6 };
        for (height, width) in [(1, 1), (1, 30), (30, 1), (8, 8), (9, 17), (41, 50)] {
            let image = Array3::from_shape_fn((height, width, 3), |(y, x, c)| {
                ((y * 31 + x * 17 + c * 5) % 7 * (y / 6 + x / 5) % 256) as u8
            });
            for rounds in 0..4 {
                let made = atoms(&image.view(), rounds, weights, &NoHost).unwrap();
                let count = made.regions.len();
                assert!(rounds > 0 || count == height * width);
                let (mut sums, mut pairs) = (vec![[0.0; 6]; count], BTreeSet::new());
                let mut row = vec![[0; 4]; width];
                for y in 0..height {
                    image.view().row(y, &mut row);
                    for x in 0..width {
                        let own = made.labels[y * width + x];
                        let [a, b, c, _] = row[x].map(f64::from);
                        let of_pixel = [1.0, a, b, c, y as f64, x as f64];
                        let sum = &mut sums[own as usize];
                        sum.iter_mut().zip(of_pixel).for_each(|(sum, value)| *sum += value);
                        let right = (x + 1 < width).then(|| y * width + x + 1);
                        let below = (y + 1 < height).then(|| (y + 1) * width + x);
                        for at in right.into_iter().chain(below) {
                            let other = made.labels[at];
                            if own != other {
                                pairs.insert((own.min(other), own.max(other)));
                            }
                        }
                    }
                }
                for (region, [n, a, b, c, y, x]) in made.regions.iter().zip(sums) {
                    assert_eq!((region.count, region.mean), (n, [a / n, b / n, c / n]));
                    let apart = [region.place[0] - y / n, region.place[1] - x / n];
                    assert!(apart.iter().all(|apart| apart.abs() < 1e-9));
                }
                assert_eq!(made.edges.len(), pairs.len(), "an edge is there twice, or not at all");
                assert!(made.edges.iter().all(|edge| pairs.contains(edge)));
            }
        }
    }
}
