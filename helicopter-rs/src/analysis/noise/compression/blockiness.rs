//! Steps across the lattice of blocks: third differences by their place modulo 8.

const MOST_LINES: usize = 64;
pub(super) const STRIP: usize = 8;
const LARGEST_STEP: f32 = 20.0;

/// Where the lines begin whose blockiness is measured.
pub(super) fn strips(side: usize) -> impl Iterator<Item = usize> {
    let count = (side.min(MOST_LINES) / STRIP).max(1);
    (0..count).map(move |strip| strip * side / count)
}

/// Sums of third differences by place modulo 8. All are whole numbers, so that no order matters.
#[derive(Default)]
pub(super) struct Profile {
    pub(super) sums: [f64; 8],
    pub(super) counts: [usize; 8],
}

impl Profile {
    pub(super) fn add(&mut self, line: &[f32], whole: bool, counts: impl Fn(usize) -> bool) {
        let count = line.len().saturating_sub(3);
        let third = |x: usize| {
            let four = &line[x..x + 4];
            (four[0] - 3.0 * four[1] + 3.0 * four[2] - four[3]).abs().min(LARGEST_STEP)
        };
        if !whole {
            for x in (0..count).filter(|&x| (x..x + 4).all(&counts)) {
                self.sums[(x + 2) % 8] += f64::from(third(x));
                self.counts[(x + 2) % 8] += 1;
            }
            return;
        }
        let mut sums = [0.0_f32; 8];
        for start in (0..count / 8 * 8).step_by(8) {
            let part = &line[start..start + 11];
            for (lane, sum) in sums.iter_mut().enumerate() {
                let size =
                    part[lane] - 3.0 * part[lane + 1] + 3.0 * part[lane + 2] - part[lane + 3];
                *sum += size.abs().min(LARGEST_STEP);
            }
        }
        for (lane, sum) in sums.into_iter().enumerate() {
            self.sums[(lane + 2) % 8] += f64::from(sum);
            self.counts[(lane + 2) % 8] += count / 8;
        }
        for x in count / 8 * 8..count {
            self.sums[(x + 2) % 8] += f64::from(third(x));
            self.counts[(x + 2) % 8] += 1;
        }
    }

    pub(super) fn means(&self) -> [f64; 8] {
        std::array::from_fn(|place| self.sums[place] / self.counts[place].max(1) as f64)
    }
}
