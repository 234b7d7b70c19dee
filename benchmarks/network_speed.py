"""The network in Rust against PyTorch and NumPy, with the same weights, and where the time goes.

python benchmarks/network_speed.py [--threads 2] [--sizes 512 1024] [--weights FILE]
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import (
    Photo,
    Report,
    Seconds,
    arguments,
    median,
    median_ratio,
    paired,
    pin_threads,
    solve_equation,
    square_photo,
)
from protocols import PROTOCOLS, Mask, make_mask

from helicopter.core import RegionalReconstructionEngine
from helicopter.models import NetworkWeights, load_network

Fill = Callable[[np.ndarray, Mask], np.ndarray]  # (image, mask) -> variance; fills in place


def ours(weights: Path | None, *, rust: bool) -> Fill:
    """Return what a backend does for the regional engine: equation, network, uncertainty."""
    engine = RegionalReconstructionEngine(
        "network", weights=weights, use_rust_acceleration=rust, device="cpu"
    )
    return lambda image, mask: engine._backend.reconstruct(
        image, mask, engine._algorithm, engine._model
    )


def pytorch(weights: NetworkWeights, threads: int, *, channels_last: bool) -> Fill:
    """Return the same with PyTorch's convolutions; the equation is solved by Rust."""
    import torch

    from helicopter.training._network import Architecture, Network, network_input

    torch.set_num_threads(threads)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    a = weights.architecture
    network = Network(Architecture(a.widths, a.down, a.up, a.scale_width))
    network.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in weights.tensors.items()})
    network = network.eval().to(memory_format=layout)
    stated, meant = weights.calibration.log_scale, weights.calibration.log_sigma

    @torch.inference_mode()
    def fill(image: np.ndarray, mask: Mask) -> np.ndarray:
        solve_equation(image, mask, "harmonic", rust=True)
        pad = [(0, -side % a.stride) for side in mask.shape]

        def plane(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.pad(values, [*pad, (0, 0)])).permute(2, 0, 1)[None]

        hidden = plane(mask[:, :, None].astype(np.float32))
        inside = plane(np.ones((*mask.shape, 1), dtype=np.float32))
        features = network_input(plane(image), hidden, inside).contiguous(memory_format=layout)
        correction, log_scale = network(features)
        height, width = mask.shape
        change = correction[0, :, :height, :width].permute(1, 2, 0).numpy()[mask]
        image[mask] = np.clip(image[mask] + change, 0, 1)
        log_sigma = np.interp(log_scale[0, 0, :height, :width].numpy()[mask], stated, meant)
        variance = np.zeros(mask.shape, dtype=np.float32)
        variance[mask] = np.exp(2 * log_sigma)
        return variance

    return fill


def equation(*, rust: bool) -> Fill:
    """Return the part of the work that comes before the network."""

    def fill(image: np.ndarray, mask: Mask) -> np.ndarray:
        solve_equation(image, mask, "harmonic", rust=rust)
        return image

    return fill


def on_copies(fill: Fill, image: np.ndarray, mask: Mask, keep: list[Any]) -> Callable[[], None]:
    """Return a job that fills a fresh copy and keeps what it made."""

    def job() -> None:
        filled = image.copy()
        keep[:] = filled, fill(filled, mask)

    return job


def inference(photo: Photo, mask: Mask, fills: dict[str, Fill], given: Any) -> list[dict[str, Any]]:
    """Seconds of the network, being those of everything less those of the equation."""
    image = photo / np.float32(255)
    image[mask] = 0
    before = {"Rust": "equation, Rust", "NumPy": "equation, NumPy"}
    names = {
        **fills,
        "equation, Rust": equation(rust=True),
        **({"equation, NumPy": equation(rust=False)} if "NumPy" in fills else {}),
    }
    made: dict[str, list[Any]] = {name: [] for name in names}
    jobs = {name: on_copies(fill, image, mask, made[name]) for name, fill in names.items()}
    for job in jobs.values():
        job()
    runs = paired(jobs, given.repeats, given.budget)
    mine = _less(runs["Rust"], runs["equation, Rust"])
    rows = []
    for name in fills:
        own = _less(runs[name], runs[before.get(name, "equation, Rust")])
        rows.append(
            {
                "network by": name,
                "size": f"{mask.shape[0]} x {mask.shape[1]}",
                "with equation": median(runs[name], "cpu"),
                "CPU s": median(own, "cpu"),
                "wall s": median(own),
                "CPU / Rust's": f"{median_ratio(own, mine, 'cpu'):.2f}",
                "wall / Rust's": f"{median_ratio(own, mine):.2f}",
                "rounds": len(own),
                "apart": f"{_apart(made[name][0], made['Rust'][0]):.1e}",
                "variance apart": f"{_apart(made[name][1], made['Rust'][1], mask):.1e}",
            }
        )
    return rows


def _less(runs: list[Seconds], of_which: list[Seconds]) -> list[Seconds]:
    return [Seconds(a.wall - b.wall, a.cpu - b.cpu) for a, b in zip(runs, of_which, strict=True)]


def _apart(one: np.ndarray, other: np.ndarray, mask: Mask | None = None) -> float:
    if mask is None:
        return float(np.abs(one - other).max())
    return float(np.abs(one[mask] / other[mask] - 1).max())


def whole_call(photo: Photo, mask: Mask, given: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The everyday call on both backends: seconds, and their shares."""
    context = photo / np.float32(255)
    context[mask] = 0
    jobs: dict[str, Callable[[], object]] = {}
    for name, rust in (("Python", False), ("Rust", True)):
        engine = RegionalReconstructionEngine(
            "network", weights=given.weights, use_rust_acceleration=rust, device="cpu"
        )
        jobs[name] = lambda engine=engine: engine.reconstruct(photo, mask)
        jobs[f"{name}: both"] = on_copies(ours(given.weights, rust=rust), context, mask, [])
        jobs[f"{name}: equation"] = on_copies(equation(rust=rust), context, mask, [])
    jobs["Rust"]()
    runs = paired(jobs, given.repeats, given.budget)
    python, rust_runs = runs["Python"], runs["Rust"]
    total = {
        "size": f"{mask.shape[0]} x {mask.shape[1]}",
        "Python s": median(python),
        "Rust s": median(rust_runs),
        "ratio": median_ratio(python, rust_runs),
        "Python CPU s": median(python, "cpu"),
        "Rust CPU s": median(rust_runs, "cpu"),
        "CPU ratio": median_ratio(python, rust_runs, "cpu"),
        "rounds": len(python),
    }
    rows = []
    for name in ("Python", "Rust"):
        all_of_it, both, solved = (
            median(runs[key], "cpu") for key in (name, f"{name}: both", f"{name}: equation")
        )
        shares = {"equation": solved, "network": both - solved, "rest": all_of_it - both}
        share = {part: f"{value:.3f} ({value / all_of_it:.0%})" for part, value in shares.items()}
        rows.append({"backend": name, "total": all_of_it, **share})
    return total, rows


def main() -> None:
    """Print the tables."""
    parser = arguments(__doc__)
    parser.add_argument("--image", type=Path, help="default: the packaged sample, resized")
    parser.add_argument("--weights", type=Path, help="default: those of the package")
    parser.add_argument("--sizes", nargs="+", type=int, default=[512, 1024])
    parser.add_argument("--mask", choices=PROTOCOLS, default="P1")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--budget", type=float, default=120.0, help="seconds for each table")
    parser.add_argument("--no-python", action="store_true", help="leave out the NumPy backend")
    given = parser.parse_args()
    pin_threads(given.threads)
    report = Report(given.threads, as_json=given.json)
    weights = load_network(given.weights)
    fills = {"Rust": ours(given.weights, rust=True)}
    try:
        fills["PyTorch"] = pytorch(weights, given.threads, channels_last=False)
        fills["PyTorch, channels last"] = pytorch(weights, given.threads, channels_last=True)
        note = f"PyTorch {_torch_version()}"
    except ModuleNotFoundError:
        note = "PyTorch is not installed"
    if not given.no_python:
        fills["NumPy"] = ours(given.weights, rust=False)
    about = f"{given.mask}: {PROTOCOLS[given.mask]}; float32; {given.threads} thread(s)"
    rows = []
    for size in given.sizes:
        photo = square_photo(given.image, size)
        rows += inference(photo, make_mask(given.mask, size, size, 0), fills, given)
    note += (
        "; medians of interleaved runs, the time of the harmonic equation (before PyTorch: Rust's) "
        "taken off; apart: largest difference from Rust's prediction, variance: relative"
    )
    report.table(f"The network alone, {about}", rows, note)
    if not given.no_python:
        size = given.sizes[-1]
        photo, mask = square_photo(given.image, size), make_mask(given.mask, size, size, 0)
        total, shares = whole_call(photo, mask, given)
        report.table(f"`reconstruct`, the whole call, {about}", [total], "8-bit RGB in and out")
        report.table("Where the time goes, CPU seconds", shares, "rest: border, confidence, copies")
    report.close()


def _torch_version() -> str:
    import torch

    return str(torch.__version__)


if __name__ == "__main__":
    main()
