//! The verifier: takes looks one by one until a decision is worth no further look.
//!
//! Its twin in `helicopter/backends/reference/` is the law.

pub use super::hatata::beta::Beta;
use super::hatata::looks::LookCounter;
pub use super::hatata::policy::{solve as stopping_policy, Policy, StoppingOptions};
use crate::error::Result;
use crate::host::Host;

/// Looks between two questions whether to stop.
const CHECKED: usize = 256;

/// Accept, reject or look on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The share is large enough.
    Accept,
    /// It is not.
    Reject,
    /// That is not known yet.
    Continue,
}

/// How looks are to be read, besides the policy.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// Of successes.
    pub required_share: f64,
    /// The law of the share before the first look.
    pub prior: Beta,
    /// Of the interval of the share.
    pub credible_level: f64,
    /// It is decided after so many looks in any case.
    pub most_looks: usize,
    /// How many looks are worth a single independent one, if that is known.
    pub time: Option<f64>,
}

/// What the looks said until it was worth no more; the vectors have what was known before the first
/// look, and after each.
#[derive(Clone, Debug, PartialEq)]
pub struct EvidenceRun {
    /// To go on, if the looks ended before.
    pub decision: Decision,
    /// What the looks are worth.
    pub effective_looks: Vec<f64>,
    /// Successes among these.
    pub effective_successes: Vec<f64>,
    /// Probability that the share is too small.
    pub short: Vec<f64>,
    /// Probability that it is not.
    pub enough: Vec<f64>,
    /// Lower end of the credible interval of the share.
    pub low: Vec<f64>,
    /// Upper end.
    pub high: Vec<f64>,
}

/// Takes looks one by one and says when the policy stops.
#[derive(Clone, Debug)]
pub struct Verification<'a> {
    policy: &'a Policy,
    most_looks: usize,
    counter: LookCounter,
}

impl<'a> Verification<'a> {
    /// Before the first look.
    #[must_use]
    pub fn new(policy: &'a Policy, most_looks: usize, time: Option<f64>) -> Self {
        Self { policy, most_looks, counter: LookCounter::new(time) }
    }

    /// What the policy says now.
    #[must_use]
    pub fn decision(&self) -> Decision {
        let (looks, successes) = self.counter.effective();
        let (mut looks, mut successes) = ((looks + 0.5).floor(), (successes + 0.5).floor());
        let horizon = (self.policy.reject_at.len() - 1) as f64;
        if looks > horizon {
            successes = (successes / looks * horizon + 0.5).floor();
            looks = horizon;
        }
        let (looks, successes) = (looks as usize, successes as i32);
        if successes <= self.policy.reject_at[looks] {
            return Decision::Reject;
        }
        if successes >= self.policy.accept_from[looks] {
            return Decision::Accept;
        }
        if self.counter.looks < self.most_looks {
            return Decision::Continue;
        }
        if successes >= self.policy.favour_from[looks] {
            Decision::Accept
        } else {
            Decision::Reject
        }
    }

    /// Takes one more look.
    pub fn look(&mut self, success: bool) -> Decision {
        self.counter.add(success);
        self.decision()
    }
}

/// Takes looks until the policy stops or there are no more.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn verify(
    successes: &[bool],
    evidence: &Evidence,
    policy: &Policy,
    host: &dyn Host,
) -> Result<EvidenceRun> {
    let mut verification = Verification::new(policy, evidence.most_looks, evidence.time);
    let mut run = EvidenceRun {
        decision: verification.decision(),
        effective_looks: Vec::new(),
        effective_successes: Vec::new(),
        short: Vec::new(),
        enough: Vec::new(),
        low: Vec::new(),
        high: Vec::new(),
    };
    run.know(evidence, (0.0, 0.0));
    for (look, &success) in successes.iter().enumerate() {
        if run.decision != Decision::Continue {
            break;
        }
        if look % CHECKED == 0 {
            host.check()?;
        }
        run.decision = verification.look(success);
        run.know(evidence, verification.counter.effective());
    }
    Ok(run)
}

impl EvidenceRun {
    /// Adds what so many looks and successes say.
    fn know(&mut self, evidence: &Evidence, (looks, successes): (f64, f64)) {
        let a = evidence.prior.a + successes;
        let b = evidence.prior.b + (looks - successes);
        let law = Beta { a, b };
        let share = evidence.required_share;
        let (short, enough) = law.below_above(share, 1.0 - share);
        let tail = 0.5 * (1.0 - evidence.credible_level);
        self.effective_looks.push(looks);
        self.effective_successes.push(successes);
        self.short.push(short);
        self.enough.push(enough);
        self.low.push(law.quantile(tail, 1.0 - tail));
        self.high.push(law.quantile(1.0 - tail, tail));
    }
}
