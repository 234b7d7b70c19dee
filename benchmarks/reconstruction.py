"""Quality and seconds of `harmonic` and `biharmonic` against scikit-image and OpenCV.

python benchmarks/reconstruction.py --images DIR [--protocols P1 P3] [--timed 3] [--skimage 1]
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Iterable
from typing import Any

import cv2
import numpy as np
import scipy.sparse as sparse
from common import Photo, Report, Seconds, arguments, median, paired, photographs, pin_threads
from protocols import PROTOCOLS, Mask, make_mask, psnr, ssim
from scipy.sparse.linalg import splu
from skimage.restoration import inpaint_biharmonic

from helicopter.core import RegionalReconstructionEngine

Method = Callable[[Photo, Mask], np.ndarray]
OURS = ("harmonic", "biharmonic")
SKIMAGE = ("scikit-image", "scikit-image, split")


def ours(algorithm: str, *, rust: bool) -> Method:
    """Return the whole everyday call, with its uncertainty map."""
    engine = RegionalReconstructionEngine(algorithm, use_rust_acceleration=rust, device="cpu")
    return lambda image, mask: engine.reconstruct(image, mask).reconstruction


def fill_only(algorithm: str) -> Method:
    """Return the work that the peers do too: no uncertainty, no confidence."""
    import helicopter_rs

    def method(image: Photo, mask: Mask) -> np.ndarray:
        filled = image.astype(np.float32)
        filled *= np.float32(1 / 255)
        helicopter_rs.solve_pde(filled, mask, algorithm, threads=cv2.getNumThreads())
        return to_bytes(filled)

    return method


def opencv(flag: int) -> Method:
    """Return one of OpenCV's two methods, radius 3."""
    return lambda image, mask: cv2.inpaint(image, mask.view(np.uint8), 3, flag)


def skimage(*, split: bool) -> Method:
    """Return scikit-image's biharmonic fill; `split` solves each connected region by itself."""

    def method(image: Photo, mask: Mask) -> np.ndarray:
        return inpaint_biharmonic(image, mask, split_into_regions=split, channel_axis=-1)

    return method


def exact(image: Photo, mask: Mask, algorithm: str) -> np.ndarray:
    """Solve the whole system with SciPy's sparse LU: the solution to compare with."""
    height, width = mask.shape

    def path(n: int) -> sparse.sparray:
        degree = np.full(n, 2.0)
        degree[[0, -1]] = 1
        return sparse.diags_array([degree, -np.ones(n - 1), -np.ones(n - 1)], offsets=[0, 1, -1])

    across = sparse.kron(sparse.eye_array(height), path(width))
    down = sparse.kron(path(height), sparse.eye_array(width))
    matrix = (across + down).tocsr()
    if algorithm == "biharmonic":
        matrix = (matrix @ matrix).tocsr()
    hidden = mask.ravel()
    values = image.reshape(-1, image.shape[2]).astype(np.float64) / 255
    load = -(matrix[hidden][:, ~hidden] @ values[~hidden])
    values[hidden] = splu(matrix[hidden][:, hidden].tocsc(), permc_spec="MMD_AT_PLUS_A").solve(load)
    return np.clip(values, 0, 1).reshape(image.shape)


def to_bytes(image: np.ndarray) -> Photo:
    """Round an image to 8 bits."""
    if image.dtype == np.uint8:
        return image
    scaled = image * image.dtype.type(255)
    np.rint(scaled, out=scaled)
    return np.clip(scaled, 0, 255, out=scaled).astype(np.uint8)


METHODS: dict[str, Method] = {
    **{f"{name}, Rust": ours(name, rust=True) for name in OURS},
    **{f"{name}, Rust, fill only": fill_only(name) for name in OURS},
    **{f"{name}, Python": ours(name, rust=False) for name in OURS},
    "OpenCV Telea": opencv(cv2.INPAINT_TELEA),
    "OpenCV Navier-Stokes": opencv(cv2.INPAINT_NS),
    SKIMAGE[0]: skimage(split=False),
    SKIMAGE[1]: skimage(split=True),
}


def quality(
    photos: list[tuple[str, Photo]], protocol: str, skimages: int, exacts: int
) -> list[dict[str, Any]]:
    """PSNR and SSIM of every method, and of the exact solution."""
    scores: dict[str, list[tuple[float, float]]] = {}
    apart: dict[str, float] = dict.fromkeys(OURS, 0.0)
    for number, (_, image) in enumerate(photos):
        mask = make_mask(protocol, *image.shape[:2], number)
        outputs = {
            name: to_bytes(METHODS[name](image, mask))
            for name in METHODS
            if not ("Python" in name or "fill only" in name or name == SKIMAGE[1])
            and (name not in SKIMAGE or number < skimages)
        }
        for name in OURS if number < exacts else ():
            truth = exact(image, mask, name)
            outputs[f"{name}, exact"] = to_bytes(truth)
            engine = RegionalReconstructionEngine(name, device="cpu")
            mine = engine.reconstruct(image / 255.0, mask).reconstruction
            apart[name] = max(apart[name], float(np.abs(mine - truth).max()))
        for name, output in outputs.items():
            pair = psnr(image, output, mask), ssim(image, output, mask)
            scores.setdefault(name, []).append(pair)
    rows = []
    for name, pairs in scores.items():
        own = name.replace(", exact", ", Rust") if "harmonic" in name else "biharmonic, Rust"
        base = scores[own][: len(pairs)]  # on the same photographs
        rows.append(
            {
                "method": name,
                "protocol": protocol,
                "images": len(pairs),
                "PSNR dB": f"{statistics.fmean(p for p, _ in pairs):.3f}",
                "SSIM": f"{statistics.fmean(s for _, s in pairs):.4f}",
                "PSNR - ours": f"{_difference(pairs, base):+.3f}" if own != name else None,
                "largest difference from exact": (
                    f"{apart[name.split(',')[0]]:.1e}" if exacts and name.endswith("Rust") else None
                ),
            }
        )
    return rows


def _difference(pairs: list[tuple[float, float]], base: list[tuple[float, float]]) -> float:
    return statistics.fmean(a[0] - b[0] for a, b in zip(pairs, base, strict=True))


def _jobs(names: Iterable[str], image: Photo, mask: Mask) -> dict[str, Callable[[], object]]:
    return {name: functools.partial(METHODS[name], image, mask) for name in names}


def speed(
    photos: list[tuple[str, Photo]], protocol: str, skimages: int, repeats: int, budget: float
) -> list[dict[str, Any]]:
    """Median seconds of every method over photographs and rounds."""
    runs: dict[str, list[Seconds]] = {}
    for number, (_, image) in enumerate(photos):
        mask = make_mask(protocol, *image.shape[:2], number)
        names = [name for name in METHODS if name not in SKIMAGE or number < skimages]
        for name in names:
            METHODS[name](image, mask)  # caches and thread pools are not what is measured
        for name, seconds in paired(_jobs(names, image, mask), repeats, budget).items():
            runs.setdefault(name, []).extend(seconds)
    cpu = {name: median(seconds, "cpu") for name, seconds in runs.items()}
    opencv_best = min(value for name, value in cpu.items() if name.startswith("OpenCV"))
    skimage_best = min((cpu[name] for name in SKIMAGE if name in cpu), default=None)
    return [
        {
            "method": name,
            "protocol": protocol,
            "seconds": median(seconds),
            "CPU s": cpu[name],
            "runs": len(seconds),
            "scikit-image's default / this": (
                f"{cpu[SKIMAGE[0]] / cpu[name]:.1f}" if SKIMAGE[0] in cpu else None
            ),
            "its faster / this": skimage_best and f"{skimage_best / cpu[name]:.1f}",
            "OpenCV's faster / this": f"{opencv_best / cpu[name]:.2f}",
        }
        for name, seconds in runs.items()
    ]


def main() -> None:
    """Print both tables of every protocol."""
    parser = arguments(__doc__, images=True)
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=list(PROTOCOLS))
    parser.add_argument("--timed", type=int, default=3, help="photographs that are timed")
    parser.add_argument("--skimage", type=int, default=1, help="photographs for scikit-image")
    parser.add_argument("--exact", type=int, default=2, help="photographs solved with SciPy too")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--budget", type=float, default=60.0, help="seconds per photograph")
    parser.add_argument("--no-quality", action="store_true")
    given = parser.parse_args()
    pin_threads(given.threads)
    report = Report(given.threads, as_json=given.json)
    photos = photographs(given.images, given.crop, given.limit)
    height, width = photos[0][1].shape[:2]
    for protocol in given.protocols:
        what = f"{protocol}, {PROTOCOLS[protocol]}, {height} x {width}"
        if not given.no_quality:
            rows = quality(photos, protocol, given.skimage, given.exact)
            note = "ours: biharmonic, on the same photographs; beside exact ones, the same equation"
            report.table(f"Quality over hidden pixels: {what}", rows, note)
        if given.timed:
            few = photos[: given.timed]
            rows = speed(few, protocol, given.skimage, given.repeats, given.budget)
            report.table(
                f"Seconds: {what}",
                rows,
                "medians; ratios of CPU medians, which other work on the machine hardly touches",
            )
    report.close()


if __name__ == "__main__":
    main()
