"""Small networks of random weights, and files of them: sound ones, and damaged ones."""

import hashlib

import numpy as np
from safetensors.numpy import save

from helicopter.models._network import Architecture

SMALL = Architecture(widths=(8, 12, 16), down=(1, 1, 2), up=(2, 1), scale_width=6)
TYPES = {"float16": "F16", "float32": "F32", "float64": "F64"}


def random_tensors(architecture=SMALL, seed=0):
    """Weights that keep activations of about the same size, and a calibration."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in architecture.shapes().items():
        size = 0.1 if name.endswith("bias") else 1 / np.sqrt(np.prod(shape[1:]))
        if name.startswith("mean"):
            size *= 0.1
        tensors[name] = rng.normal(0, size, shape).astype(np.float16)
    log_scale = np.linspace(-2, 2, 9, dtype=np.float32)
    levels = np.array([0.1, 0.5, 0.8, 0.9, 0.95, 0.99], np.float32)
    log_sigma = (0.7 * log_scale - 3).astype(np.float32)
    reach = np.log(-np.log1p(-levels) / np.sqrt(2))[None] + 0.1 * log_scale[:, None]
    tensors |= {
        "calibration.log_scale": log_scale,
        "calibration.log_sigma": log_sigma,
        "calibration.confidence": -np.expm1(-0.07 / np.exp(log_sigma)),
        "calibration.levels": levels,
        "calibration.log_reach": reach.astype(np.float32),
        "calibration.patches": np.array([-0.4, -0.1, 0.5, 0.3]),
    }
    return tensors


def digest_of(tensors):
    found = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        shape = ",".join(map(str, value.shape))
        found.update(f"{name} {TYPES.get(value.dtype.name, '?')} {shape}\n".encode())
        found.update(value.tobytes())
    return found.hexdigest()


def file_of(tensors, **about):
    """The bytes of a weights file; `about` replaces its metadata, None leaves an entry out."""
    metadata = {"format": "helicopter-network-1", "sha256": digest_of(tensors)} | about
    return save(tensors, metadata={key: text for key, text in metadata.items() if text is not None})


def write(path, tensors=None):
    path.write_bytes(file_of(random_tensors() if tensors is None else tensors))
    return path
