"""Make the package's data of what was learnt: `helicopter/models/noise.safetensors` and its digest.

python training/noise/export.py DIR/grey.npz DIR/colour.npz
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from helicopter.io import atomic_open, together
from helicopter.models._noise import FORMAT, SHIPPED, SHIPPED_DIGEST


def main() -> None:
    tensors = {}
    for prefix, path in zip(("grey", "colour"), sys.argv[1:], strict=True):
        with np.load(path) as file:
            for name in file.files:
                # half precision is enough for weights, not for what features are normalised by
                exact = name.endswith(("centre", "spread", "shrink"))
                tensors[f"{prefix}.{name}"] = file[name].astype(np.float32 if exact else np.float16)
    data = save(tensors, metadata={"format": FORMAT})
    folder = Path(__file__).parents[2] / "helicopter" / "models"
    digest = hashlib.sha256(data).hexdigest() + "\n"
    with together():  # one without the other would not be read
        for name, content in ((SHIPPED, data), (SHIPPED_DIGEST, digest.encode("ascii"))):
            with atomic_open(folder / name) as file:
                file.write(content)
    print(f"{len(data)} bytes")


if __name__ == "__main__":
    main()
