"""Clean pictures for the noise estimator from the photographs of `training/photographs.py`.

    python training/noise/prepare.py PHOTOGRAPHS OUT_DIR

Makes each smaller once more, by 1.5, which leaves next to no noise of its own, and leaves out those
of packages that development photographs come from, and those that are noisy all the same.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from photographs import Photograph, read_table  # its neighbour one folder up

TABLE = Path(__file__).parents[1] / "photographs.tsv"

FACTOR = 1.5
#: Packages that the development photographs come from, or share a photographer with.
SHARED = {
    "enlightenment-data", "lomiri-wallpapers-16.04", "lxqt-themes", "mate-backgrounds",
    "plasma-workspace-wallpapers",
}  # fmt: skip
#: Noise of more than one grey level was seen in these.
NOISY = {
    "adminlte_photo4", "citrus-fruits", "kivy_Wall", "matkit_city", "matkit_city-profile",
    "matkit_profile_city", "softui_blog7-1", "tabler_bobby-burch-145906",
    "tabler_casey-horner-339165", "tabler_clarisse-meyer-122804",
    "tabler_eberhard-grossgasteiger-311213",
    "tabler_jakob-owens-224352", "tabler_nathan-anderson-297460", "uikit_dark", "uikit_size-v",
}  # fmt: skip


def wanted() -> list[Photograph]:
    """The photographs of the table that are used here."""
    return [p for p in read_table(TABLE) if p.package not in SHARED and p.name not in NOISY]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    names = [photograph.name for photograph in wanted()]
    for name in names:
        with Image.open(options.photographs / f"{name}.png") as image:
            picture = image.convert("RGB")
        size = (int(picture.width / FACTOR), int(picture.height / FACTOR))
        small = picture.resize(size, Image.Resampling.LANCZOS)
        small.save(options.output / f"{name}.webp", lossless=True, method=2, quality=30)
    print(f"{len(names)} pictures")


if __name__ == "__main__":
    main()
