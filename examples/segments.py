"""Divide a photograph into segments, three ways; draw their borders if given a file's name."""

import sys

import numpy as np

import helicopter
from helicopter.io import sample_image

image = sample_image()
found = {preset: helicopter.segment(image, 150, preset=preset) for preset in ("quality", "compact")}
found["fast"] = helicopter.segment(image, 150, preset="fast")

for preset, labels in found.items():
    area = np.bincount(labels.ravel())
    sums = np.stack([np.bincount(labels.ravel(), image[:, :, c].ravel()) for c in range(3)], axis=1)
    painted = (sums / area[:, None])[labels]  # each segment in its mean colour
    lost = np.square(painted - image).sum() / np.square(image - image.mean(axis=(0, 1))).sum()
    print(f"{preset}: {area.size} segments of {area.min()} to {area.max()} pixels", end=", ")
    print(f"which explain {1 - lost:.1%} of the variance of the colours")

if len(sys.argv) > 1:
    from PIL import Image

    panels = []
    for preset in ("quality", "compact"):
        labels = found[preset]
        border = np.zeros(labels.shape, dtype=bool)
        border[:, 1:] = labels[:, 1:] != labels[:, :-1]
        border[1:] |= labels[1:] != labels[:-1]
        panels.append(np.where(border[:, :, None], np.uint8([255, 255, 0]), image))
    Image.fromarray(np.hstack(panels)).save(sys.argv[1], quality=75)
