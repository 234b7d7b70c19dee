//! The loops over pixels and bins that become vector instructions.

use realfft::num_traits::Zero;

use super::candidates::C64;
use crate::utils::simd::kernel;

const HALVING: [f32; 6] =
    [1.0 / 32.0, 5.0 / 32.0, 10.0 / 32.0, 10.0 / 32.0, 5.0 / 32.0, 1.0 / 32.0];
const SMOOTHING: [f32; 5] = [1.0 / 16.0, 4.0 / 16.0, 6.0 / 16.0, 4.0 / 16.0, 1.0 / 16.0];
/// Partial sums of a dot product, so that the compiler can use vectors.
const LANES: usize = 8;

kernel! {
    /// Mean of the channels of every pixel, and the share of them that is at an end of the range.
    pub(super) fn average<S>(values: &[f32], channels: usize, light: &mut [f32], ends: &mut [f32]) {
        let (low, high) = ((0.5 / 255.0) as f32, (254.5 / 255.0) as f32);
        let at_end = |value: f32| f32::from(u8::from(value <= low) | u8::from(value >= high));
        if channels == 1 {
            for ((&value, light), end) in values.iter().zip(light).zip(ends) {
                *light = value;
                *end = at_end(value);
            }
        } else {
            for ((rgb, light), end) in values.as_chunks::<3>().0.iter().zip(light).zip(ends) {
                *light = (rgb[0] + rgb[1] + rgb[2]) / 3.0;
                *end = (at_end(rgb[0]) + at_end(rgb[1]) + at_end(rgb[2])) / 3.0;
            }
        }
    }
}

kernel! {
    /// The binomial mean of five rows.
    pub(super) fn smooth_rows<S>(rows: [&[f32]; 5], out: &mut [f32]) {
        let rows = rows.map(|row| &row[..out.len()]);
        for (x, value) in out.iter_mut().enumerate() {
            let mut sum = SMOOTHING[0] * rows[0][x];
            for k in 1..5 {
                sum += SMOOTHING[k] * rows[k][x];
            }
            *value = sum;
        }
    }
}

kernel! {
    /// The low-passed row between six rows.
    pub(super) fn halve_rows<S>(rows: [&[f32]; 6], out: &mut [f32]) {
        let rows = rows.map(|row| &row[..out.len()]);
        for (x, value) in out.iter_mut().enumerate() {
            let mut sum = HALVING[0] * rows[0][x];
            for k in 1..6 {
                sum += HALVING[k] * rows[k][x];
            }
            *value = sum;
        }
    }
}

kernel! {
    /// The low-passed values between neighbours of `line`, which has a margin of two on either side;
    /// `even` and `odd` hold its values by turns.
    pub(super) fn halve_line<S>(line: &[f32], even: &mut [f32], odd: &mut [f32], out: &mut [f32]) {
        for ((pair, even), odd) in line.as_chunks::<2>().0.iter().zip(even.iter_mut()).zip(odd.iter_mut()) {
            [*even, *odd] = *pair;
        }
        let count = out.len();
        let taps: [&[f32]; 6] = std::array::from_fn(|k| {
            let half: &[f32] = if k % 2 == 0 { even } else { odd };
            &half[k / 2..k / 2 + count]
        });
        for (x, value) in out.iter_mut().enumerate() {
            let mut sum = HALVING[0] * taps[0][x];
            for k in 1..6 {
                sum += HALVING[k] * taps[k][x];
            }
            *value = sum;
        }
    }
}

kernel! {
    /// A row less the binomial mean of `line`, which has a margin of two on either side.
    pub(super) fn less_smooth<S>(row: &[f32], line: &[f32], out: &mut [f32]) {
        let count = out.len();
        let shifted: [&[f32]; 5] = std::array::from_fn(|k| &line[k..k + count]);
        let row = &row[..count];
        for (x, value) in out.iter_mut().enumerate() {
            let mut low = SMOOTHING[0] * shifted[0][x];
            for k in 1..5 {
                low += SMOOTHING[k] * shifted[k][x];
            }
            *value = row[x] - low;
        }
    }
}

kernel! {
    /// Weights of a row between two rows of blocks.
    pub(super) fn blend<S>(upper: &[f32], lower: &[f32], share: f32, out: &mut [f32]) {
        for ((value, upper), lower) in out.iter_mut().zip(upper).zip(lower) {
            *value = upper * (1.0 - share) + lower * share;
        }
    }
}

kernel! {
    /// Multiplies a row by its weights, and the product by the window; sums the weights of noise.
    pub(super) fn weigh<S>(
        signal: &mut [f32],
        weight: &[f32],
        hann: &[f32],
        factor: f32,
        windowed: &mut [f32],
        expected: &mut f64,
    ) {
        let count = signal.len();
        let (weight, hann, windowed) = (&weight[..count], &hann[..count], &mut windowed[..count]);
        for x in 0..count {
            signal[x] *= weight[x];
            windowed[x] = signal[x] * (factor * hann[x]);
        }
        let mut sums = [0.0_f32; LANES];
        let (weight, rest) = weight.as_chunks::<LANES>();
        let (hann, hann_rest) = hann.as_chunks::<LANES>();
        for (weight, hann) in weight.iter().zip(hann) {
            for lane in 0..LANES {
                let window = factor * hann[lane];
                sums[lane] += weight[lane] * window * window;
            }
        }
        let rest = rest.iter().zip(hann_rest).map(|(weight, hann)| {
            let window = factor * hann;
            weight * window * window
        });
        *expected += f64::from(rest.sum::<f32>());
        *expected += sums.iter().map(|&sum| f64::from(sum)).sum::<f64>();
    }
}

kernel! {
    /// Sums of squares of the pieces of a row, added to those of the rows above.
    pub(super) fn add_squares<S>(row: &[f32], edges: &[usize], sums: &mut [f64]) {
        for (ends, sum) in edges.windows(2).zip(sums) {
            let (eights, rest) = row[ends[0]..ends[1]].as_chunks::<LANES>();
            let mut lanes = [0.0_f32; LANES];
            for eight in eights {
                for lane in 0..LANES {
                    lanes[lane] += eight[lane] * eight[lane];
                }
            }
            let all = lanes.iter().sum::<f32>() + rest.iter().map(|value| value * value).sum::<f32>();
            *sum += f64::from(all);
        }
    }
}

kernel! {
    /// Moves a sum of rows on by one row.
    pub(super) fn slide<S>(sums: &mut [f64], come: &[f32], gone: &[f32]) {
        for ((sum, &come), &gone) in sums.iter_mut().zip(come).zip(gone) {
            *sum += f64::from(come) - f64::from(gone);
        }
    }
}

kernel! {
    /// Sums of 2^`doublings` neighbours, each with those to its right; `values` and `work` alternate.
    fn doubled<S>(values: &mut Vec<f64>, doublings: usize, work: &mut Vec<f64>) {
        for step in (0..doublings).map(|k| 1 << k) {
            let count = values.len() - step;
            for ((sum, left), right) in work.iter_mut().zip(&values[..count]).zip(&values[step..]) {
                *sum = left + right;
            }
            std::mem::swap(values, work);
        }
    }
}

kernel! {
    /// Sums of squares around every bin, the inner one's left out, from the sums over rows.
    pub(super) fn rings<S>(
        rows: &[Vec<f64>; 2],
        outer: usize,
        inner: usize,
        work: &mut [Vec<f64>; 3],
        out: &mut [f64],
    ) {
        let [large, small, spare] = work;
        large.copy_from_slice(&rows[0]);
        doubled(large, if outer == 8 { 4 } else { 3 }, spare);
        small.copy_from_slice(&rows[1]);
        doubled(small, 2, spare);
        let (begin, count) = (outer - inner, out.len());
        let (large, last) = (&large[..count], &rows[0][2 * outer..][..count]);
        // 5 = 4 + 1 of a reach of 2, 7 = 4 + 3 of a reach of 3
        let small = &small[begin..][..count];
        let [a, b, c] = [4, 5, 6].map(|k| &rows[1][begin + k..]);
        if inner == 2 {
            for x in 0..count {
                out[x] = (large[x] + last[x]) - (small[x] + a[x]);
            }
        } else {
            let [a, b, c] = [a, b, c].map(|row| &row[..count]);
            for x in 0..count {
                out[x] = (large[x] + last[x]) - (small[x] + (a[x] + b[x] + c[x]));
            }
        }
    }
}

kernel! {
    /// Products of pieces of a row with the real and imaginary part of a kernel each.
    pub(super) fn project<S>(row: &[f32], hop: usize, re: &[f32], im: &[f32], sums: &mut [C64]) {
        let length = 2 * hop;
        for (tile, sum) in sums.iter_mut().enumerate() {
            let row = &row[tile * hop..][..length];
            let (re, im) = (&re[tile * length..][..length], &im[tile * length..][..length]);
            let (eights, rest) = row.as_chunks::<LANES>();
            let (re_eights, re_rest) = re.as_chunks::<LANES>();
            let (im_eights, im_rest) = im.as_chunks::<LANES>();
            let (mut real, mut imaginary) = ([0.0_f32; LANES], [0.0_f32; LANES]);
            for ((row, re), im) in eights.iter().zip(re_eights).zip(im_eights) {
                for lane in 0..LANES {
                    real[lane] += row[lane] * re[lane];
                    imaginary[lane] += row[lane] * im[lane];
                }
            }
            let mut total = C64::zero();
            for ((&row, re), im) in rest.iter().zip(re_rest).zip(im_rest) {
                total += C64::new(f64::from(row * re), f64::from(row * im));
            }
            for lane in 0..LANES {
                total += C64::new(f64::from(real[lane]), f64::from(imaginary[lane]));
            }
            *sum = total;
        }
    }
}
