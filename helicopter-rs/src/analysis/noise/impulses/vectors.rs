//! What is done to a whole row at once, in loops that become vector instructions.

use crate::utils::simd::kernel;

/// Values that are worked on together.
pub(super) const LANES: usize = 16;

/// The values of some pixels of a row and their neighbours' in order: the lowest two, the highest two.
#[derive(Default)]
pub(super) struct Ordered {
    pub(super) value: Vec<f32>,
    /// 1 where the value is black or white, else 0.
    pub(super) edge: Vec<u32>,
    pub(super) below: [Vec<f32>; 2],
    pub(super) above: [Vec<f32>; 2],
}

impl Ordered {
    fn resize(&mut self, count: usize) {
        self.value.resize(count, 0.0);
        for rank in 0..2 {
            self.below[rank].resize(count, 0.0);
            self.above[rank].resize(count, 0.0);
        }
    }

    /// Keeps only some of the pixels.
    pub(super) fn keep(&mut self, which: &[bool]) {
        let [below, second_below] = &mut self.below;
        let [above, second_above] = &mut self.above;
        for values in [&mut self.value, below, second_below, above, second_above] {
            let mut kept = which.iter();
            values.retain(|_| *kept.next().unwrap_or(&false));
        }
    }
}

/// The sum of values, in an order that vectors can keep.
#[inline(always)]
pub(super) fn total(values: &[f32]) -> f64 {
    let mut sums = [0.0_f32; LANES];
    let whole = values.len() / LANES * LANES;
    let mut x = 0;
    while x < whole {
        let chunk = &values[x..x + LANES];
        for i in 0..LANES {
            sums[i] += chunk[i];
        }
        x += LANES;
    }
    let mut sum = 0.0;
    for i in 0..LANES {
        sum += f64::from(sums[i]);
    }
    for &value in &values[whole..] {
        sum += f64::from(value);
    }
    sum
}

kernel! {
    /// Orders the neighbours of all pixels of a row but the first and the last.
    pub(super) fn put_in_order<S>(rows: [&[f32]; 3], columns: &mut [Vec<f32>; 3], ordered: &mut Ordered) {
        let width = rows[0].len();
        let count = width - 2;
        ordered.resize(count);
        let [up, here, down] = rows.map(|row| &row[..width]);
        ordered.value.copy_from_slice(&here[1..=count]);
        // the three values above each other, in order
        let [least, middle, most] = columns;
        let (least, middle, most) =
            (&mut least[..width], &mut middle[..width], &mut most[..width]);
        for x in 0..width {
            let (a, b) = (lesser(up[x], here[x]), greater(up[x], here[x]));
            let c = down[x];
            least[x] = lesser(a, c);
            most[x] = greater(b, c);
            middle[x] = lesser(b, greater(a, c));
        }
        let (up, down) = (&up[1..=count], &down[1..=count]);
        let [below, second_below] = &mut ordered.below;
        let (below, second_below) = (&mut below[..count], &mut second_below[..count]);
        let (left, left2) = (&least[..count], &middle[..count]);
        let (right, right2) = (&least[2..], &middle[2..]);
        let (right, right2) = (&right[..count], &right2[..count]);
        for x in 0..count {
            let low = lesser(left[x], right[x]);
            let next = lesser(greater(left[x], right[x]), lesser(left2[x], right2[x]));
            let (low2, next2) = (lesser(up[x], down[x]), greater(up[x], down[x]));
            below[x] = lesser(low, low2);
            second_below[x] = lesser(greater(low, low2), lesser(next, next2));
        }
        let [above, second_above] = &mut ordered.above;
        let (above, second_above) = (&mut above[..count], &mut second_above[..count]);
        let left = &most[..count];
        let right = &most[2..][..count];
        for x in 0..count {
            let high = greater(left[x], right[x]);
            let next = greater(lesser(left[x], right[x]), greater(left2[x], right2[x]));
            let (high2, next2) = (greater(up[x], down[x]), lesser(up[x], down[x]));
            above[x] = greater(high, high2);
            second_above[x] = greater(lesser(high, high2), greater(next, next2));
        }
    }
}

kernel! {
    /// Makes a range so wide that it holds all values.
    pub(super) fn widen<S>(values: &[f32], range: &mut [f32; 2]) {
        let (mut low, mut high) = ([range[0]; LANES], [range[1]; LANES]);
        let whole = values.len() / LANES * LANES;
        let mut x = 0;
        while x < whole {
            let chunk = &values[x..x + LANES];
            for i in 0..LANES {
                low[i] = lesser(low[i], chunk[i]);
                high[i] = greater(high[i], chunk[i]);
            }
            x += LANES;
        }
        for &value in &values[whole..] {
            low[0] = lesser(low[0], value);
            high[0] = greater(high[0], value);
        }
        for i in 0..LANES {
            range[0] = lesser(range[0], low[i]);
            range[1] = greater(range[1], high[i]);
        }
    }
}

kernel! {
    /// Counts the values that are none of 256 levels.
    pub(super) fn count_between_levels<S>(values: &[f32], count: &mut u32) {
        let mut between = 0;
        for &value in values {
            let level = value * 255.0;
            between += u32::from((level - level.round_ties_even()).abs() >= 1e-3);
        }
        *count += between;
    }
}

kernel! {
    /// Adds the three channels up.
    pub(super) fn add_channels<S>(values: &[f32], out: &mut [f32]) {
        let values = &values[..3 * out.len()];
        for x in 0..out.len() {
            out[x] = (values[3 * x] + values[3 * x + 1]) + values[3 * x + 2];
        }
    }
}

kernel! {
    /// Picks one of three channels.
    pub(super) fn pick_channel<S>(values: &[f32], channel: usize, out: &mut [f32]) {
        let values = &values[channel..];
        let count = out.len();
        for x in 0..count {
            out[x] = values[3 * x];
        }
    }
}

kernel! {
    /// Counts where at least one and where at least two of three flags are up.
    pub(super) fn count_flags<S>(flags: [&[u8]; 3], counts: &mut [u64; 2]) {
        let count = flags[0].len();
        let [a, b, c] = flags.map(|flags| &flags[..count]);
        let (mut one, mut two) = (0_u32, 0_u32);
        for x in 0..count {
            let up = a[x] + b[x] + c[x];
            one += u32::from(up > 0);
            two += u32::from(up > 1);
        }
        counts[0] += u64::from(one);
        counts[1] += u64::from(two);
    }
}

// As the processor does it, unlike `f32::min`, which has to think of NaN.
#[inline(always)]
pub(super) fn lesser(a: f32, b: f32) -> f32 {
    if a < b {
        a
    } else {
        b
    }
}

#[inline(always)]
pub(super) fn greater(a: f32, b: f32) -> f32 {
    if a > b {
        a
    } else {
        b
    }
}
