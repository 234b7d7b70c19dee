"""Pack photographs into one small file for `training/on_gpu.py`.

    python training/pack.py PHOTOGRAPHS... -o photographs.zip

Of every other photograph half the size is kept, of the rest the middle quarter as it is; as JPEG
without loss of colour resolution, so that 800 photographs fit into 40 MiB. Those that
`training/second.py` keeps out are left out here too.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

from PIL import Image
from second import kept  # its neighbour

#: Photographs with a shorter side than this are kept whole.
LEAST_SIDE = 400


def packed(path: Path, whole: bool, quality: int) -> bytes:
    """Return what is kept of a photograph."""
    with Image.open(path) as file:
        image = file.convert("RGB")
    if min(image.size) >= LEAST_SIDE:
        if whole:
            image = image.reduce(2)
        else:
            x, y = image.width // 4, image.height // 4
            image = image.crop((x, y, 3 * x, 3 * y))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", metavar="PHOTOGRAPHS")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--quality", type=int, default=85)
    given = parser.parse_args()
    paths, _ = kept(given.folders)
    with zipfile.ZipFile(given.output, "w") as archive:
        for number, path in enumerate(paths):
            archive.writestr(f"{path.stem}.jpg", packed(path, number % 2 == 0, given.quality))
    print(f"{len(paths)} photographs, {given.output.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
