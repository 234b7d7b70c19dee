"""Whether the verifier's probabilities are right, and its policy does what is said of it.

python benchmarks/verification.py --images DIR [--algorithm network] [--only photographs engine]
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from common import Report, arguments, photographs, pin_threads

from helicopter.core import (
    AutonomousReconstructionEngine,
    HatataMDPEngine,
    RegionalReconstructionEngine,
    reliability_curve,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from common import Photo
    from numpy.typing import NDArray

    from helicopter.core import ReliabilityCurve, StoppingPolicy, Verification

PARTS = ("simulated", "policy", "photographs", "engine")
REQUIRED = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9)
THRESHOLDS = (0.8, 0.9, 0.95)
PATCH_SIZES = (8, 16, 32)
#: Photographs of fewer patches than this say little about an order of looking.
LEAST_PATCHES = 100
SEED = 20261127

Statement = tuple["Verification", bool]


# -- simulated evidence --------------------------------------------------------------------------


def simulated(runs: int) -> list[tuple[str, list[Statement]]]:
    """Verify evidence of which everything is as assumed: p ~ Beta(1, 1), independent looks."""
    engine, out = HatataMDPEngine(), []
    for effective in ("auto", "all"):
        rng = np.random.default_rng(SEED)
        found = []
        for share in rng.random(runs):
            looks = (rng.random(400) < share).astype(np.float64)
            verdict = engine.verify(looks, effective_looks=effective)
            found.append((verdict, bool(share >= verdict.required_share)))
        out.append((f"effective_looks={effective}", found))
    rng = np.random.default_rng(SEED)
    found = []
    for share in rng.random(runs // 4):  # handed over one by one
        verdict = engine.verify(float(rng.random() < share) for _ in range(400))
        found.append((verdict, bool(share >= verdict.required_share)))
    out.append(("one by one, auto", found))
    return out


# -- the policy ----------------------------------------------------------------------------------


def simulate(
    policy: StoppingPolicy, shares: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Decisions (True: accept) and numbers of looks of many runs at once."""
    found = policy.boundaries
    successes, looks = (np.zeros(shares.size, dtype=np.int64) for _ in range(2))
    accepted, running = np.zeros(shares.size, dtype=bool), np.arange(shares.size)
    for n in range(policy.max_looks + 1):
        count = successes[running]
        accepted[running] = count >= found.accept_from[n]
        looks[running] = n
        running = running[(count > found.reject_at[n]) & (count < found.accept_from[n])]
        if not running.size:
            break
        successes[running] += rng.random(running.size) < shares[running]
    return accepted, looks


def policy_rows(runs: int) -> Iterator[dict[str, Any]]:
    """Compare simulated runs with the exact error rates and mean numbers of looks."""
    rng = np.random.default_rng(SEED)
    engine = HatataMDPEngine()
    for options in (
        {"required_share": 0.8},
        {"required_share": 0.8, "cost_of_look": 0.01},
        {"required_share": 0.6, "cost_of_false_accept": 5.0, "prior": (2.0, 1.0)},
    ):
        policy = engine.stopping_policy(**options)
        required = policy.required_share
        for share in (None, required - 0.1, required, required + 0.05):
            shares = rng.beta(*policy.prior, runs) if share is None else np.full(runs, share)
            accepted, looks = simulate(policy, shares, rng)
            exact = policy.operating_characteristics(share)
            enough = shares >= required
            wrong = {
                "false accept": (accepted & ~enough, exact.false_accept),
                "false reject": (~accepted & enough, exact.false_reject),
            }
            row: dict[str, Any] = {
                "policy": ", ".join(f"{name}={value}" for name, value in options.items()),
                "true share": "prior" if share is None else f"{share:.2f}",
            }
            off = []
            for name, (simulated_errors, stated) in wrong.items():
                spread = math.sqrt(stated * (1 - stated) / runs)
                row[name] = f"{simulated_errors.mean():.5f} / {stated:.5f}"
                off.append(0.0 if spread == 0 else (simulated_errors.mean() - stated) / spread)
            off.append((looks.mean() - exact.mean_looks) / (looks.std() / math.sqrt(runs)))
            row["mean looks"] = f"{looks.mean():.3f} / {exact.mean_looks:.3f}"
            row["standard errors off"] = ", ".join(f"{value:+.1f}" for value in off)
            row["within 3"] = bool(max(map(abs, off)) <= 3)
            yield row


# -- photographs ---------------------------------------------------------------------------------


def at_random(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.intp]:
    """Every order is as likely as any other."""
    return rng.permutation(shape[0] * shape[1])


def by_rows(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.intp]:
    """Neighbour after neighbour, from anywhere on."""
    count = shape[0] * shape[1]
    return (np.arange(count) + rng.integers(count)) % count


def coarse_to_fine(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.intp]:
    """As the strategy progressive_refinement."""
    from helicopter.backends.reference.reconstruction.strategies import _factors_of_two

    rows, columns = map(_factors_of_two, shape)
    level = np.minimum(rows[:, None], columns[None, :]).ravel()
    return np.lexsort((rng.random(level.size), -level))


MODES: dict[str, tuple[Any, str, bool]] = {
    "random order": (at_random, "auto", False),
    "random order, every look in full": (at_random, "all", False),
    "coarse to fine": (coarse_to_fine, "auto", False),
    "row by row": (by_rows, "auto", False),
    "row by row, every look in full": (by_rows, "all", False),
    "row by row, one by one": (by_rows, "auto", True),
}


def grids(photos: Sequence[tuple[str, Photo]], algorithm: str) -> Iterator[NDArray[np.float64]]:
    """Qualities of all patches of each photograph, out of sample."""
    engine = RegionalReconstructionEngine(algorithm, device="cpu")
    for _, photo in photos:
        for size in PATCH_SIZES:
            if (photo.shape[0] // size) * (photo.shape[1] // size) >= LEAST_PATCHES:
                cross = engine.cross_reconstruct(photo, patch_size=size)
                yield cross.patch_quality.astype(np.float64)


def of_photographs(
    qualities: Sequence[NDArray[np.float64]], mode: str, repeats: int
) -> list[Statement]:
    """Verify the patches of photographs; the truth is the share over all of them."""
    order, effective, streamed = MODES[mode]
    engine, rng, found = HatataMDPEngine(), np.random.default_rng(SEED), []
    for grid in qualities:
        for threshold in THRESHOLDS:
            share = float((grid >= threshold).mean())
            for required in REQUIRED:
                for _ in range(repeats):
                    looks = grid.ravel()[order(grid.shape, rng)]
                    verdict = engine.verify(
                        iter(looks.tolist()) if streamed else looks,
                        threshold,
                        required_share=required,
                        effective_looks=effective,
                    )
                    found.append((verdict, share >= required))
    return found


def of_engine(photos: Sequence[tuple[str, Photo]], algorithm: str, seeds: int) -> list[Statement]:
    """Stop the autonomous engine by evidence; the truth is the share over all hidden patches."""
    verifier = HatataMDPEngine()
    found: list[Statement] = []
    for _, photo in photos:
        for seed in range(seeds):
            for required in REQUIRED:
                engine = AutonomousReconstructionEngine(
                    16, algorithm=algorithm, device="cpu", seed=seed,
                    stop=verifier.stopping_policy(required), threshold=0.9,
                )  # fmt: skip
                result = engine.autonomous_analyze(photo)
                share = float((_hidden_qualities(result, photo) >= 0.9).mean())
                if result.verification is not None:
                    found.append((result.verification, share >= required))
    return found


def _hidden_qualities(result: Any, photo: Photo) -> NDArray[np.float64]:
    """Of every hidden patch, from the image as it was redrawn."""
    error = (result.reconstruction.astype(np.float64) - photo) / 255
    mse = np.square(error).mean(axis=2)
    size = result.patch_size
    rows, columns = (-(-side // size) for side in mse.shape)
    out = []
    for row in range(rows):
        for column in range(columns):
            box = np.s_[row * size : (row + 1) * size, column * size : (column + 1) * size]
            if result.hidden_mask[box].any():
                out.append(1 / (1 + 10 * mse[box].mean()))
    return np.array(out)


# -- tables --------------------------------------------------------------------------------------


def summary(name: str, found: Sequence[Statement]) -> tuple[dict[str, Any], ReliabilityCurve]:
    """One row on the statements, and their curve."""
    verdicts = [verdict for verdict, _ in found]
    true = np.array([truth for _, truth in found])
    curve = reliability_curve([verdict.understanding_probability for verdict in verdicts], true)
    decided = np.array([verdict.decision != "continue" for verdict in verdicts])
    accepted = np.array([verdict.decision == "accept" for verdict in verdicts])
    row = {
        "evidence": name,
        "statements": len(found),
        "ECE": f"{curve.expected_calibration_error:.4f}",
        "Brier": f"{curve.brier_score:.4f}",
        "mean looks": f"{np.mean([verdict.evidence_used for verdict in verdicts]):.1f}",
        "decided": f"{decided.mean():.1%}",
        "of these wrong": f"{(accepted != true)[decided].mean():.2%}",
        "stated": f"{np.mean([verdict.expected_loss for verdict in verdicts]):.2%}",
    }
    return row, curve


def reliability_rows(curve: ReliabilityCurve) -> list[dict[str, Any]]:
    """The bins in which there is something."""
    return [
        {
            "stated": f"{curve.probability[k]:.3f}",
            "came true": f"{curve.frequency[k]:.3f}",
            "95 % interval": f"{curve.low[k]:.3f} .. {curve.high[k]:.3f}",
            "statements": int(curve.counts[k]),
        }
        for k in np.flatnonzero(curve.counts)
    ]


def main() -> None:
    """Print the tables."""
    parser = arguments(__doc__, images=True)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--algorithm", default="network")
    parser.add_argument("--runs", type=int, default=1_000_000, help="of the policy")
    parser.add_argument("--statements", type=int, default=100_000, help="on simulated evidence")
    parser.add_argument("--repeats", type=int, default=3, help="orders of looking at a photograph")
    given = parser.parse_args()
    pin_threads(given.threads)
    report = Report(given.threads, as_json=given.json)
    tables: list[tuple[str, str, list[tuple[str, list[Statement]]]]] = []
    if "simulated" in given.only:
        note = "asked: ECE at most 0.005"
        tables.append(("Evidence as assumed", note, simulated(given.statements)))
    if "policy" in given.only:
        note = "simulated / exact; asked: within 3 standard errors"
        report.table(f"Stopping, {given.runs} runs", list(policy_rows(given.runs)), note)
    photos = []
    if {"photographs", "engine"} & set(given.only):
        photos = photographs(given.images, given.crop, given.limit, grey=given.grey)
    what = f"{len(photos)} photographs, {given.algorithm}"
    if "photographs" in given.only:
        qualities = list(grids(photos, given.algorithm))
        note = f"patches {PATCH_SIZES}, thresholds {THRESHOLDS}, required shares {REQUIRED}"
        modes = [(mode, of_photographs(qualities, mode, given.repeats)) for mode in MODES]
        tables.append((f"Patches of {what}", f"{note}; asked: ECE at most 0.03", modes))
    if "engine" in given.only:
        statements = of_engine(photos, given.algorithm, given.repeats)
        note = "patches of 16, threshold 0.9; asked: ECE at most 0.03"
        tables.append((f'stop="hatata": {what}', note, [("closed book", statements)]))
    for title, note, all_found in tables:
        rows, curves = [], {}
        for name, found in all_found:
            row, curves[name] = summary(name, found)
            rows.append(row)
        report.table(title, rows, f"{note}; stated: mean expected loss, costs of errors being 1")
        for name, curve in curves.items():
            report.table(f"Reliability: {name}", reliability_rows(curve))
    report.close()


if __name__ == "__main__":
    main()
