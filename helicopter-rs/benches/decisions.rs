//! Decision models, small and slow to mix. `cargo bench --bench decisions`.

use std::hint::black_box;

use criterion::{criterion_group, criterion_main, Criterion};
use helicopter_rs::analysis::mdp::compress::Rows;
use helicopter_rs::analysis::mdp::model::Model;
use helicopter_rs::analysis::mdp::solver::{solve, Method, Options};
use helicopter_rs::host::NoHost;

/// A walk on a line: left or right, with slips; a reward at the far end.
fn walk(states: usize) -> Model {
    let (mut of, mut actions, mut row_start) = (Vec::new(), Vec::new(), vec![0]);
    let (mut columns, mut probabilities, mut rewards) = (Vec::new(), Vec::new(), Vec::new());
    for state in 0..states {
        for (action, left) in [(0, 0.7), (1, 0.3)] {
            of.push(state as i64);
            actions.push(action);
            columns.extend([state.saturating_sub(1) as i64, (state + 1).min(states - 1) as i64]);
            probabilities.extend([left, 1.0 - left]);
            row_start.push(columns.len() as i64);
            rewards.push(if state + 1 == states { 1.0 } else { -0.001 * (state % 7) as f64 });
        }
    }
    let rows = Rows {
        states: &of,
        actions: &actions,
        row_start: &row_start,
        columns: &columns,
        probabilities: &probabilities,
        rewards: &rewards,
        by_entry: false,
        rewards_low: None,
    };
    Model::from_rows(states, rows).expect("a model")
}

fn walks(criterion: &mut Criterion) {
    for states in [100, 10_000] {
        let model = walk(states);
        let options = Options {
            discount: 0.999,
            method: Method::Auto,
            epsilon: 1e-9,
            max_iterations: usize::MAX,
        };
        criterion.bench_function(&format!("walk {states}"), |bencher| {
            bencher.iter(|| solve(black_box(&model), options, &NoHost).expect("nobody stops it"));
        });
    }
}

criterion_group!(benches, walks);
criterion_main!(benches);
