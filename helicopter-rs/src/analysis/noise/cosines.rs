//! The cosine transform of eight 8 x 8 blocks at a time, and the bands of its coefficients.

use crate::utils::simd::F32x8;

/// Side of a block.
pub(super) const SIDE: usize = 8;
/// Coefficients of a block.
pub(super) const AREA: usize = SIDE * SIDE;
/// Bands that they fall into; the last two are the axial ones.
pub(super) const BANDS: usize = 7;

/// Coefficients of each band (row frequency first), the constant one in none of them.
pub(super) const MEMBERS: [&[usize]; BANDS] = [
    &[1, 8, 9],
    &[2, 3, 10, 16, 17, 24],
    &[11, 18, 19, 20, 25, 26, 27, 34],
    &[21, 22, 23, 28, 29, 30, 35, 36, 37, 42, 43, 44, 50, 51, 58],
    &[31, 38, 39, 45, 46, 47, 52, 53, 54, 55, 59, 60, 61, 62, 63],
    &[4, 5, 6, 7, 12, 13, 14, 15],
    &[32, 33, 40, 41, 48, 49, 56, 57],
];

/// cos(k pi / 16) / 2.
const C: [f32; 8] = [
    0.5,
    0.490_392_64,
    0.461_939_77,
    0.415_734_8,
    0.353_553_4,
    0.277_785_12,
    0.191_341_71,
    0.097_545_16,
];

/// Weights of the differences of mirrored values in the odd coefficients.
const ODD: [[f32; 4]; 4] = [
    [C[1], C[3], C[5], C[7]],
    [C[3], -C[7], -C[1], -C[5]],
    [C[5], -C[1], C[7], C[3]],
    [C[7], -C[5], C[3], -C[1]],
];

/// The orthonormal cosine transform of eight values.
#[inline(always)]
fn transform<V: F32x8>(x: [V; SIDE]) -> [V; SIDE] {
    let plus = [x[0].add(x[7]), x[1].add(x[6]), x[2].add(x[5]), x[3].add(x[4])];
    let minus = [x[0].sub(x[7]), x[1].sub(x[6]), x[2].sub(x[5]), x[3].sub(x[4])];
    let (outer, inner) = (plus[0].add(plus[3]), plus[1].add(plus[2]));
    let (wide, narrow) = (plus[0].sub(plus[3]), plus[1].sub(plus[2]));
    let mut out = x;
    out[0] = outer.add(inner).mul(V::splat(C[4]));
    out[4] = outer.sub(inner).mul(V::splat(C[4]));
    out[2] = wide.multiply_add(V::splat(C[2]), narrow.mul(V::splat(C[6])));
    out[6] = wide.multiply_add(V::splat(C[6]), narrow.mul(V::splat(-C[2])));
    for k in 0..4 {
        let mut sum = minus[0].mul(V::splat(ODD[k][0]));
        for i in 1..4 {
            sum = minus[i].multiply_add(V::splat(ODD[k][i]), sum);
        }
        out[2 * k + 1] = sum;
    }
    out
}

/// Transforms blocks in place: first down the columns, then along the rows.
#[inline(always)]
pub(super) fn transform_blocks<V: F32x8>(blocks: &mut [V; AREA]) {
    for column in 0..SIDE {
        let mut values = [blocks[0]; SIDE];
        for row in 0..SIDE {
            values[row] = blocks[row * SIDE + column];
        }
        let out = transform(values);
        for row in 0..SIDE {
            blocks[row * SIDE + column] = out[row];
        }
    }
    for row in 0..SIDE {
        let mut values = [blocks[0]; SIDE];
        for column in 0..SIDE {
            values[column] = blocks[row * SIDE + column];
        }
        let out = transform(values);
        for column in 0..SIDE {
            blocks[row * SIDE + column] = out[column];
        }
    }
}

/// Mean square of the coefficients of each band.
#[inline(always)]
pub(super) fn energies<V: F32x8>(coefficients: &[V; AREA]) -> [V; BANDS] {
    let mut out = [V::splat(0.0); BANDS];
    for (band, members) in MEMBERS.iter().enumerate() {
        out[band] = mean_product(coefficients, coefficients, members);
    }
    out
}

/// Mean product of some coefficients.
#[inline(always)]
fn mean_product<V: F32x8>(a: &[V; AREA], b: &[V; AREA], members: &[usize]) -> V {
    // two sums, so that one need not wait for the other
    let (mut even, mut odd) = (V::splat(0.0), V::splat(0.0));
    let mut k = 0;
    while k + 1 < members.len() {
        even = a[members[k]].multiply_add(b[members[k]], even);
        odd = a[members[k + 1]].multiply_add(b[members[k + 1]], odd);
        k += 2;
    }
    if k < members.len() {
        even = a[members[k]].multiply_add(b[members[k]], even);
    }
    even.add(odd).mul(V::splat(1.0 / members.len() as f32))
}

/// Mean product of the coefficients of the two highest bands.
#[inline(always)]
pub(super) fn mean_cross<V: F32x8>(a: &[V; AREA], b: &[V; AREA]) -> V {
    let three = mean_product(a, b, MEMBERS[3]);
    three.add(mean_product(a, b, MEMBERS[4])).mul(V::splat(0.5))
}

#[cfg(test)]
mod tests {
    use super::super::blocks::LANES;
    use super::*;
    use crate::utils::simd::{Plain, Simd, Vector};

    #[test]
    fn the_transform_is_that_of_the_definition() {
        let value = |k: usize, lane: usize| ((k * 37 + lane * 11) % 101) as f32 - 50.0;
        let mut blocks: [<Plain as Simd>::F32x8; AREA] = std::array::from_fn(|k| {
            let lanes: [f32; LANES] = std::array::from_fn(|lane| value(k, lane));
            Vector::load(&lanes)
        });
        transform_blocks(&mut blocks);
        let basis = |u: usize, n: usize| {
            let scale = if u == 0 { (1.0_f64 / 8.0).sqrt() } else { 0.5 };
            scale * (std::f64::consts::PI * (2 * n + 1) as f64 * u as f64 / 16.0).cos()
        };
        for u in 0..SIDE {
            for v in 0..SIDE {
                let mut expected = 0.0;
                for y in 0..SIDE {
                    for x in 0..SIDE {
                        expected += basis(u, y) * basis(v, x) * f64::from(value(y * SIDE + x, 3));
                    }
                }
                assert!(
                    (f64::from(blocks[u * SIDE + v].to_array()[3]) - expected).abs() < 1e-3,
                    "{u} {v}"
                );
            }
        }
    }

    #[test]
    fn every_coefficient_but_the_constant_one_is_in_one_band() {
        let mut seen: Vec<usize> = MEMBERS.concat();
        seen.sort_unstable();
        assert_eq!(seen, (1..AREA).collect::<Vec<_>>());
    }
}
