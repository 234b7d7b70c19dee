//! Decision models: known answers, bounds that hold, and the same answer for any number of threads.

use helicopter_rs::analysis::mdp::compress::Rows;
use helicopter_rs::analysis::mdp::horizon;
use helicopter_rs::analysis::mdp::model::Model;
use helicopter_rs::analysis::mdp::solver::{solve, Method, Options, Run};
use helicopter_rs::host::NoHost;
use helicopter_rs::par;
use proptest::prelude::*;

const METHODS: [Method; 4] = [
    Method::Auto,
    Method::ValueIteration,
    Method::PolicyIteration,
    Method::ModifiedPolicyIteration,
];

/// One (state, action): its transitions and its reward.
type Pair = (usize, usize, Vec<(usize, f64)>, f64);

fn model(states: usize, pairs: &[Pair]) -> Model {
    let mut row_start = vec![0];
    let (mut columns, mut probabilities) = (Vec::new(), Vec::new());
    for (_, _, row, _) in pairs {
        columns.extend(row.iter().map(|&(column, _)| column as i64));
        probabilities.extend(row.iter().map(|&(_, probability)| probability));
        row_start.push(columns.len() as i64);
    }
    let rows = Rows {
        states: &pairs.iter().map(|pair| pair.0 as i64).collect::<Vec<_>>(),
        actions: &pairs.iter().map(|pair| pair.1 as i64).collect::<Vec<_>>(),
        row_start: &row_start,
        columns: &columns,
        probabilities: &probabilities,
        rewards: &pairs.iter().map(|pair| pair.3).collect::<Vec<_>>(),
        by_entry: false,
        rewards_low: None,
    };
    Model::from_rows(states, rows).expect("a model")
}

fn solved(model: &Model, discount: f64, epsilon: f64, method: Method) -> Run {
    let options = Options { discount, method, epsilon, max_iterations: 1_000_000 };
    solve(model, options, &NoHost).expect("nobody stops it")
}

/// A walk on a line with a reward at one end; `place` says where on the line a state is.
fn walk(states: usize, place: impl Fn(usize) -> usize) -> Model {
    let mut pairs = Vec::new();
    let mut at = vec![0; states];
    for state in 0..states {
        at[place(state)] = state;
    }
    for state in 0..states {
        let here = place(state);
        let (left, right) = (at[here.saturating_sub(1)], at[(here + 1).min(states - 1)]);
        for action in 0..2 {
            let p = if action == 0 { 0.75 } else { 0.25 };
            let reward = if here == states - 1 { 1.0 } else { -0.001 * (here % 7) as f64 };
            pairs.push((state, action, vec![(left, p), (right, 1.0 - p)], reward));
        }
    }
    model(states, &pairs)
}

#[test]
fn forest_management() {
    let pairs = [
        (0, 0, vec![(0, 0.1), (1, 0.9)], 0.0),
        (0, 1, vec![(0, 1.0)], 0.0),
        (1, 0, vec![(0, 0.1), (2, 0.9)], 0.0),
        (1, 1, vec![(0, 1.0)], 1.0),
        (2, 0, vec![(0, 0.1), (2, 0.9)], 4.0),
        (2, 1, vec![(0, 1.0)], 2.0),
    ];
    for method in METHODS {
        let run = solved(&model(3, &pairs), 0.9, 1e-10, method);
        assert!(run.converged, "{method:?}");
        assert_eq!(run.policy, [0, 0, 0]);
        for (value, known) in run.value.iter().zip([6561.0, 7371.0, 8371.0]) {
            assert!((value - known / 250.0).abs() < 1e-9, "{method:?}: {value}");
        }
    }
}

#[test]
fn what_is_wrong_is_refused() {
    let row = |probability: f64, reward: f64, column: i64| {
        let rows = Rows {
            states: &[0],
            actions: &[0],
            row_start: &[0, 1],
            columns: &[column],
            probabilities: &[probability],
            rewards: &[reward],
            by_entry: false,
            rewards_low: None,
        };
        Model::from_rows(2, rows)
    };
    assert!(row(1.0, 0.0, 1).is_some());
    for (probability, reward, column) in
        [(0.9, 0.0, 0), (f64::NAN, 0.0, 0), (-1.0, 0.0, 0), (1.0, f64::NAN, 0), (1.0, 0.0, 2)]
    {
        assert!(row(probability, reward, column).is_none(), "{probability} {reward} {column}");
    }
}

#[test]
fn a_shuffled_walk_is_the_same_walk() {
    const STATES: usize = 3000;
    let plain = solved(&walk(STATES, |state| state), 0.999, 1e-9, Method::Auto);
    let place = |state: usize| state * 1237 % STATES;
    let shuffled = solved(&walk(STATES, place), 0.999, 1e-9, Method::Auto);
    assert!(plain.converged && shuffled.converged);
    for state in 0..STATES {
        let (a, b) = (plain.value[place(state)], shuffled.value[state]);
        assert!((a - b).abs() <= 2e-9, "{a} {b}");
    }
}

#[test]
fn threads_do_not_matter() {
    let large = walk(60_000, |state| state * 17_377 % 60_000);
    for method in [Method::Auto, Method::ModifiedPolicyIteration, Method::ValueIteration] {
        let epsilon = if method == Method::Auto { 1e-9 } else { 0.1 };
        let runs = [1, 2, 4].map(|threads| {
            par::install(Some(threads), || solved(&large, 0.99, epsilon, method)).expect("threads")
        });
        assert!(runs[0].converged);
        for run in &runs[1..] {
            assert_eq!(run.lower, runs[0].lower);
            assert_eq!(run.upper, runs[0].upper);
            assert_eq!(run.policy, runs[0].policy);
            assert_eq!(run.iterations, runs[0].iterations);
        }
    }
}

#[test]
fn too_few_rounds_leave_a_wider_enclosure() {
    let walk = walk(200, |state| state);
    let full = solved(&walk, 0.99, 1e-9, Method::Auto);
    let options = Options {
        discount: 0.99,
        method: Method::ValueIteration,
        epsilon: 1e-9,
        max_iterations: 5,
    };
    let short = solve(&walk, options, &NoHost).expect("nobody stops it");
    assert!(full.converged && !short.converged);
    for state in 0..200 {
        assert!(short.lower[state] <= full.upper[state]);
        assert!(full.lower[state] <= short.upper[state]);
    }
}

#[test]
fn what_float64_cannot_hold_is_not_claimed() {
    let run = solved(&model(1, &[(0, 0, vec![(0, 1.0)], 1e6)]), 0.999_9, 1e-9, Method::Auto);
    assert!(!run.converged);
    // 1e6 / (1 - d) of the float64 number d next to 0.9999, in exact arithmetic, is 1e10 and this:
    let beyond = 0.001_101_3;
    assert!(run.lower[0] - 1e10 <= beyond + 2e-6 && run.upper[0] - 1e10 >= beyond - 2e-6);
    assert!(run.upper[0] - run.lower[0] < 1e-5);
}

fn random_model() -> impl Strategy<Value = (usize, Vec<Pair>)> {
    (2_usize..7).prop_flat_map(|states| {
        let row = prop::collection::vec((0..states, 1_u32..20), 1..4);
        let pair = (row, -100.0..100.0);
        let of_state = prop::collection::vec(pair, 1..4);
        prop::collection::vec(of_state, states).prop_map(move |all| {
            let mut pairs = Vec::new();
            for (state, of_state) in all.into_iter().enumerate() {
                for (action, (row, reward)) in of_state.into_iter().enumerate() {
                    let total: u32 = row.iter().map(|&(_, weight)| weight).sum();
                    let row = row.iter().map(|&(c, w)| (c, f64::from(w) / f64::from(total)));
                    pairs.push((state, action, row.collect(), reward));
                }
            }
            (states, pairs)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn all_methods_enclose_the_same_value(
        (states, pairs) in random_model(),
        discount in prop::sample::select(vec![0.3, 0.9, 0.99]),
    ) {
        let model = model(states, &pairs);
        let runs = METHODS.map(|method| solved(&model, discount, 1e-8, method));
        for run in &runs {
            prop_assert!(run.converged);
            for state in 0..states {
                prop_assert!(run.upper[state] - run.lower[state] <= 1e-8);
                prop_assert!(run.lower[state] <= runs[0].upper[state]);
                prop_assert!(runs[0].lower[state] <= run.upper[state]);
            }
        }
    }

    #[test]
    fn many_steps_come_to_the_value_without_an_end(
        (states, pairs) in random_model(),
        discount in 0.1..0.8_f64,
    ) {
        let model = model(states, &pairs);
        let endless = solved(&model, discount, 1e-9, Method::Auto);
        let many = horizon::solve(&model, discount, 200, &vec![0.0; states], &NoHost).unwrap();
        for state in 0..states {
            prop_assert!((many.value[[0, state]] - endless.value[state]).abs() < 1e-7);
            prop_assert!(many.lower[[0, state]] <= many.value[[0, state]]);
            prop_assert!(many.value[[0, state]] <= many.upper[[0, state]]);
            prop_assert!(many.upper[[0, state]] - many.lower[[0, state]] < 1e-9);
        }
    }
}

#[test]
fn rounding_that_goes_round_in_circles_is_noticed() {
    // two states that take turns: value iteration comes to swing by a few units in the last place
    let pairs = [
        (0, 0, vec![(2, 1.0)], 28_644.432),
        (0, 1, vec![(0, 1.0)], 0.0),
        (1, 0, vec![(2, 1.0)], 28_644.432),
        (2, 0, vec![(0, 1.0)], 0.0),
    ];
    for method in METHODS {
        let run = solved(&model(3, &pairs), 0.9999, 1e-4, method);
        assert!(run.converged, "{method:?}");
        assert!(run.iterations < 400_000, "{method:?}: {}", run.iterations);
    }
}
