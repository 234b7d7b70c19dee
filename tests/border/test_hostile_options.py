"""Options of any size and kind: an error of ours that says so, whatever was given."""

import numpy as np
import pytest
from scenes import scene

import helicopter
from helicopter import MDP
from helicopter.errors import HelicopterError, InvalidOptionError
from helicopter.io import read_image, write_image

#: No float holds the first, and Python does not write out the second.
HOSTILE = (10**400, -(10**5000), float("nan"), "nul\0", b"x", np.array(None), np.array([1, 2]), {})
IMAGE = scene(dtype="uint8")
MASK = np.zeros(IMAGE.shape[:2], bool)
MASK[3:9, 4:12] = True
CHANCES, REWARDS = np.full((2, 3, 3), 1 / 3), np.zeros((3, 2))

CALLS = {
    "analyze": (
        lambda **o: helicopter.analyze(IMAGE, **{"algorithm": "harmonic", **o}),
        ("patch_size", "seed", "target_quality", "level", "algorithm", "parts_algorithm", "prior",
         "segments", "threshold", "data_range", "device", "weights", "anomalies", "strategy"),
    ),
    "find_anomalies": (
        lambda **o: helicopter.find_anomalies(IMAGE, **{"algorithm": "harmonic", **o}),
        ("level", "noise", "segments", "seed", "data_range"),
    ),
    "segment": (lambda **o: helicopter.segment(IMAGE, **{"n_segments": 4, **o}),
                ("n_segments", "preset", "mask")),
    "verify": (lambda **o: helicopter.verify([0.9] * 20, **o),
               ("threshold", "required_share", "prior", "cost_of_look", "max_looks")),
    "reconstruct": (lambda **o: helicopter.reconstruct(IMAGE, MASK, **o),
                    ("algorithm", "data_range", "device", "weights")),
    "MDP": (
        lambda **o: MDP(**{"transitions": CHANCES, "rewards": REWARDS, "discount": 0.9, **o}),
        ("transitions", "discount", "states", "actions"),
    ),
    "solve": (lambda **o: MDP(CHANCES, REWARDS, discount=0.9).solve(**o),
              ("method", "epsilon", "max_iterations", "horizon")),
    "set_num_threads": (lambda **o: helicopter.set_num_threads(o["n"]), ("n",)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("call", "option"), [(name, option) for name, (_, some) in CALLS.items() for option in some]
)
def test_hostile_options_are_refused(call, option):
    function, _ = CALLS[call]
    refused = []
    for value in HOSTILE:
        try:
            function(**{option: value})
        except HelicopterError as error:
            refused.append(str(error))
    assert max(map(len, refused)) < 1500
    assert len(refused) >= len(HOSTILE) - 2  # labels may be anything that can be hashed, for one
    helicopter.set_num_threads(None)


@pytest.mark.parametrize("path", ["nul\0.png", "\udcff\0", "", 5, None, b"a.png"])
def test_hostile_paths_are_refused(path):
    with pytest.raises(HelicopterError):
        read_image(path)
    with pytest.raises(HelicopterError):
        write_image(path, IMAGE)


@pytest.mark.parametrize("profile", [5, "x", np.array([1, 2]), float("nan")])
def test_a_profile_is_bytes(tmp_path, profile):
    for suffix in (".png", ".tif", ".webp", ".jpg"):
        with pytest.raises(InvalidOptionError):
            write_image(tmp_path / f"a{suffix}", IMAGE, icc_profile=profile)
    assert list(tmp_path.iterdir()) == []
