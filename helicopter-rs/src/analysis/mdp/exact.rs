//! Arithmetic to twice the working precision: sums and products that keep what rounding leaves over.
//!
//! Dekker (1971), Knuth (TAOCP 2, 4.2.2), and for the sums of products Ogita, Rump and Oishi (2005),
//! "Accurate sum and dot product", SIAM J. Sci. Comput. 26.

/// Half the distance from one to the next number: the relative error of one rounding.
pub const UNIT: f64 = f64::EPSILON / 2.0;

/// `a + b`, and what rounding left over.
#[inline(always)]
pub fn sum(a: f64, b: f64) -> (f64, f64) {
    let high = a + b;
    let of_b = high - a;
    (high, (a - (high - of_b)) + (b - of_b))
}

/// As [`sum`], where `a` is the larger one.
#[inline(always)]
pub fn quick_sum(a: f64, b: f64) -> (f64, f64) {
    let high = a + b;
    (high, b - (high - a))
}

/// `a * b`, and what rounding left over.
#[inline(always)]
pub fn product(a: f64, b: f64) -> (f64, f64) {
    let high = a * b;
    (high, a.mul_add(b, -high))
}

/// `start + factor * (probabilities . (high + low)) - base`, to about twice the precision.
///
/// All of them are pairs high + low. With `k` probabilities the error is below
/// `UNIT * |result| + 8 (k + 4)^2 UNIT^2 (|start| + factor * max |high|)`: Dot2 of Ogita, Rump and Oishi
/// (their proposition 5.5) leaves `UNIT |s| + gamma_k^2 sum |p||v|` before the last rounding, which is
/// done here after everything else.
#[inline(always)]
pub fn residual(
    start: (f64, f64),
    factor: f64,
    (columns, probabilities): (&[u32], &[f64]),
    (high, low): (&[f64], &[f64]),
    base: (f64, f64),
) -> f64 {
    let (mut s, mut c) = (0.0, 0.0);
    for (&column, &probability) in columns.iter().zip(probabilities) {
        let value = high[column as usize];
        let p = product(probability, value);
        let t = sum(s, p.0);
        s = t.0;
        c += t.1 + probability.mul_add(low[column as usize], p.1);
    }
    let scaled = product(factor, s);
    let total = sum(scaled.0, start.0);
    let rest = sum(total.0, -base.0);
    rest.0 + (rest.1 + total.1 + (scaled.1 + factor * c) + (start.1 - base.1))
}
