"""Tell how noisy an image is, with what, and which of its parts are worth mending."""

import numpy as np

import helicopter
from helicopter.io import sample_image

rng = np.random.default_rng(0)
clean = sample_image().astype(float)
noise = rng.normal(0, np.sqrt(9 + 0.8 * clean))  # of the electronics, and of the photons
image = np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)
image[:, 400:][rng.random((400, 200)) < 0.02] = 255  # dead pixels, on the right only

found = helicopter.estimate_noise(image, segments=(2, 3))
low, high = found.sigma_interval
print(f"sigma {found.sigma:.1f} ({low:.1f} to {high:.1f}) grey levels: {found.level}")
print(f"kinds: {', '.join(found.kinds)}; signal {found.snr_db:.1f} dB above the noise")

law = found.noise_level_function
print(f"in the dark {law.at(20):.1f}, in the bright {law.at(220):.1f}")
for scale in found.scales:
    print(f"averaged over {scale.scale} x {scale.scale} pixels: {scale.sigma:.1f}")
for part in found.segments:
    print(f"segment {part.label}: priority {part.priority:.2f}, {part.action}")
