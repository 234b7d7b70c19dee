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
#: Even where these have the least detail, what is there looks like noise: grain, fabric, scans of
#: prints. To call that clean would teach that noise is. The blocks' networks that are shipped
#: learnt from them all the same: it was found out later. (In the half per cent of the blocks with
#: the least detail, high frequencies of more than half a level, and more than half as strong as
#: the low ones.)
GRAINY = {
    "gcompris_TajMahal_background", "gcompris_konarkSunTemple", "gcompris_pig", "matkit_bg",
    "softui_brooke", "tabler_nathan-anderson-316188", "tabler_nathan-dumlao-287713",
    "tabler_sweet-ice-cream-photography-143023", "tabler_tim-bogdanov-97988", "tuxpaint_cliff",
    "tuxtype_0", "tuxtype_1", "tuxtype_2", "tuxtype_kcas0", "tuxtype_kcas3",
    "ufoai_buildings_carpet001", "ufoai_buildings_carpet002", "ufoai_buildings_carpet009",
    "ufoai_buildings_carpet010", "ufoai_buildings_carpet012", "ufoai_buildings_carpet015",
    "ufoai_buildings_carpet017", "ufoai_buildings_carpet018", "ufoai_buildings_carpet024",
    "ufoai_buildings_carpet025", "ufoai_buildings_carpet026", "ufoai_buildings_wall007",
    "ufoai_buildings_wall007_2", "ufoai_ctp1_concrete_g_10", "ufoai_ctp1_concrete_g_4",
    "ufoai_ctp1_concrete_g_5", "ufoai_ctp1_concrete_g_6", "ufoai_ctp1_concrete_g_8",
    "ufoai_ctp1_door_r_1", "ufoai_ctp1_door_w_1", "ufoai_ctp1_grass_g_7", "ufoai_ctp1_ground_b_1",
    "ufoai_ctp1_ground_g_2", "ufoai_mattn_dirt003", "ufoai_mattn_door064", "ufoai_mattn_rock001",
    "ufoai_mattn_rock005", "ufoai_mattn_wall021", "ufoai_mattn_wood008", "ufoai_nature_desert005",
    "ufoai_nature_jungle002", "ufoai_nature_pjrock6", "ufoai_nature_rock001",
    "ufoai_nature_rock004", "ufoai_nature_rock005", "ufoai_nature_rock007",
    "ufoai_nature_rock012", "ufoai_nature_rock014", "ufoai_nature_rock017",
    "ufoai_nature_rock018", "ufoai_nature_tree001", "ufoai_nature_tree002",
    "ufoai_nature_tree003", "ufoai_streets_pavement001",
}  # fmt: skip


def wanted(*, grainy: bool = False) -> list[Photograph]:
    """The photographs of packages that are used here; with the grainy ones, that once were."""
    unwanted = NOISY if grainy else NOISY | GRAINY
    packaged = [p for p in read_table(TABLE) if p.kind != "git"]
    return [p for p in packaged if p.package not in SHARED and p.name not in unwanted]


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
