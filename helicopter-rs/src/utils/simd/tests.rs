use super::{F32x8, F64s, Isa, Kernel, Simd, Vector};

struct Logarithms(Vec<f32>);

impl Kernel for Logarithms {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<S: Simd>(mut self) -> Vec<f32> {
        for group in self.0.chunks_exact_mut(8) {
            S::F32x8::load(group).ln().store(group);
        }
        self.0
    }
}

#[test]
fn logarithms_are_right_to_float_precision() {
    let x: Vec<f32> = (0..8000).map(|k| 1e-3 * 1.005_f32.powi(k)).collect();
    for isa in Isa::available() {
        for (&x, got) in x.iter().zip(isa.run(Logarithms(x.clone()))) {
            let expected = f64::from(x).ln();
            let tolerance = 3e-7 * expected.abs().max(1.0);
            assert!((f64::from(got) - expected).abs() < tolerance, "ln {x}: {got}, {expected}");
        }
    }
}

struct Rearranged<'a>(&'a [f32]);

impl Kernel for Rearranged<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<S: Simd>(self) -> Vec<f32> {
        let rows: [S::F32x8; 8] = std::array::from_fn(|i| Vector::load(&self.0[8 * i..]));
        let mut out = F32x8::transpose(rows).map(F32x8::to_array).concat();
        let (first, second) = rows[0].interleave(rows[1]);
        let kept = rows[0].not_between(Vector::splat(1.0), Vector::splat(6.0));
        out.extend([first, second, kept].map(F32x8::to_array).concat());
        out
    }
}

#[test]
fn values_go_where_they_belong() {
    let mut values: Vec<f32> = (0..64).map(|k| k as f32).collect();
    values[3] = f32::NAN;
    let mut expected: Vec<f32> = (0..64).map(|k| values[8 * (k % 8) + k / 8]).collect();
    expected.extend((0..16).map(|k| values[8 * (k % 2) + k / 2]));
    expected.extend([1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
    for isa in Isa::available() {
        let found = isa.run(Rearranged(&values));
        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
        assert!(found.iter().zip(&expected).all(same), "{isa:?}: {found:?}");
    }
}

/// The operations on whole numbers, of which every result is exact.
struct Arithmetic;

#[inline(always)]
fn arithmetic<V: Vector>(number: impl Fn(i32) -> V::Float) -> Vec<V::Float> {
    let of = |seed: i32| {
        let values: Vec<V::Float> = (0..16).map(|i| number((i * 37 + seed) % 19 - 9)).collect();
        V::load(&values)
    };
    let (a, b, c) = (of(3), of(8), of(14));
    let results = [a.add(b), a.sub(b), a.mul(b), a.max(b), a.min(b), a.plus(b, c), a.minus(b, c)];
    let mut out = Vec::new();
    for result in results.into_iter().chain([a.multiply_add(b, c), V::splat(number(5))]) {
        let mut lanes = vec![number(0); V::LANES];
        result.store(&mut lanes);
        out.extend_from_slice(&lanes[..4]); // as many as the narrowest vector has
    }
    out
}

impl Kernel for Arithmetic {
    type Output = [Vec<f64>; 3];
    const AVX512: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self) -> [Vec<f64>; 3] {
        let single = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
        [
            single(arithmetic::<S::F32x8>(|n| n as f32)),
            single(arithmetic::<S::F32x16>(|n| n as f32)),
            arithmetic::<S::F64s>(f64::from),
        ]
    }
}

#[test]
fn every_vector_computes_the_same() {
    let expected = Isa::Plain.run(Arithmetic);
    assert_eq!(expected[0], expected[2]);
    assert_eq!(expected[1], expected[2]);
    let (a, b, c) = (-6.0, -1.0, 5.0); // of the first lane
    let first = [a + b, a - b, a * b, b, a, a + b * c, a - b * c, a * b + c, 5.0];
    assert!(expected[2].iter().step_by(4).eq(&first), "{:?}", expected[2]);
    for isa in Isa::available() {
        assert_eq!(isa.run(Arithmetic), expected, "{isa:?}");
    }
}

struct Totals;

impl Kernel for Totals {
    type Output = Vec<f64>;
    const AVX512: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self) -> Vec<f64> {
        let rows = |i: usize| (0..8).map(|j| (i * i + j) as f64).collect::<Vec<f64>>();
        if S::ISA == Isa::Avx512 {
            S::F64s::totals::<8>(std::array::from_fn(|i| Vector::load(&rows(i)))).to_vec()
        } else {
            S::F64s::totals::<4>(std::array::from_fn(|i| Vector::load(&rows(i)))).to_vec()
        }
    }
}

#[test]
fn totals_are_those_of_each_vector() {
    for isa in Isa::available() {
        let found = isa.run(Totals);
        let lanes = found.len();
        let total = |i: usize| (lanes * i * i + lanes * (lanes - 1) / 2) as f64;
        assert_eq!(found, (0..lanes).map(total).collect::<Vec<_>>(), "{isa:?}");
    }
}
