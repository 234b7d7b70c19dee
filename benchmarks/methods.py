"""What `reconstruction.py` compares: our algorithms, the peers, and an exact solution to check by.

A method takes an 8-bit photograph (H, W, C) and a mask, and returns the filled photograph.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable

import cv2
import numpy as np
from common import Photo, solve_equation
from protocols import Mask

from helicopter.core import RegionalReconstructionEngine

Method = Callable[[Photo, Mask], np.ndarray]

OURS = ("network", "harmonic", "biharmonic", "exemplar")
#: These take seconds to minutes for an image.
SLOW = ("scikit-image biharmonic", "scikit-image, split", "OpenCV FSR fast", "pypatchmatch")
#: pypatchmatch compares patches of 7 x 7 visible pixels; of these masks few or none are left.
UNSUITED = {"pypatchmatch": ("P4", "P4b")}
RADIUS = 3


def ours(algorithm: str, *, rust: bool = True) -> Method:
    """Return the whole everyday call, with its uncertainty and confidence maps."""
    engine = RegionalReconstructionEngine(algorithm, use_rust_acceleration=rust, device="cpu")
    return lambda image, mask: engine.reconstruct(image, mask).reconstruction


def fill_only(algorithm: str) -> Method:
    """Return the work that the peers do too: no uncertainty, no confidence."""

    def method(image: Photo, mask: Mask) -> np.ndarray:
        filled = image.astype(np.float32)
        filled *= np.float32(1 / 255)
        solve_equation(filled, mask, algorithm, rust=True)
        return to_bytes(filled)

    return method


def opencv(flag: int) -> Method:
    """Return one of OpenCV's two classical methods."""
    return lambda image, mask: cv2.inpaint(image, mask.view(np.uint8), RADIUS, flag)


def frequency_selective() -> Method:
    """Return OpenCV's fast frequency selective reconstruction (opencv-contrib only)."""

    def method(image: Photo, mask: Mask) -> np.ndarray:
        filled = np.zeros_like(image)
        visible = np.where(mask, np.uint8(0), np.uint8(255))
        cv2.xphoto.inpaint(image, visible, filled, cv2.xphoto.INPAINT_FSR_FAST)
        return filled

    return method


def skimage(*, split: bool) -> Method:
    """Return scikit-image's biharmonic fill; `split` solves each connected region by itself."""
    restoration = importlib.import_module("skimage.restoration")

    def method(image: Photo, mask: Mask) -> np.ndarray:
        return restoration.inpaint_biharmonic(
            image, mask, split_into_regions=split, channel_axis=-1
        )

    return method


def patchmatch() -> Method:
    """Return pypatchmatch, which takes three channels only."""
    library = importlib.import_module("patchmatch.patch_match")

    def method(image: Photo, mask: Mask) -> np.ndarray:
        colour = np.ascontiguousarray(np.broadcast_to(image, (*mask.shape, 3)))
        filled = library.inpaint(colour, mask.view(np.uint8) * 255, patch_size=RADIUS)
        return filled[:, :, : image.shape[2]]

    return method


_MAKERS: dict[str, Callable[[], Method]] = {
    "network": lambda: ours("network"),
    "harmonic": lambda: ours("harmonic"),
    "biharmonic": lambda: ours("biharmonic"),
    "exemplar": lambda: ours("exemplar"),
    "OpenCV Telea": lambda: opencv(cv2.INPAINT_TELEA),
    "OpenCV Navier-Stokes": lambda: opencv(cv2.INPAINT_NS),
    "scikit-image biharmonic": lambda: skimage(split=False),
    "OpenCV FSR fast": frequency_selective,
    "pypatchmatch": patchmatch,
    # only where they are asked for
    "scikit-image, split": lambda: skimage(split=True),
    "harmonic, fill only": lambda: fill_only("harmonic"),
    "biharmonic, fill only": lambda: fill_only("biharmonic"),
    **{f"{name}, Python": lambda name=name: ours(name, rust=False) for name in OURS},
}
ALL = tuple(_MAKERS)
DEFAULT = ALL[:9]


def _missing(name: str) -> str | None:
    """Return what a peer needs and this environment lacks."""
    if name == "OpenCV FSR fast" and not hasattr(cv2, "xphoto"):
        return "opencv-contrib-python-headless"
    if name == "pypatchmatch" and importlib.util.find_spec("patchmatch") is None:
        return "pypatchmatch"
    return None


def methods(names: list[str]) -> tuple[dict[str, Method], list[str]]:
    """Return the methods that can run here by name, and of the others what they would need."""
    lacking = {name: _missing(name) for name in names}
    usable = {name: _MAKERS[name]() for name, needs in lacking.items() if needs is None}
    return usable, [f"{name} (pip install {needs})" for name, needs in lacking.items() if needs]


def exact(image: Photo, mask: Mask, algorithm: str) -> np.ndarray:
    """Solve the whole system with SciPy's sparse LU: the solution to compare with, in [0, 1]."""
    import scipy.sparse as sparse
    from scipy.sparse.linalg import splu

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
