"""Fill damaged pixels of a 12-bit measurement in a 16-bit array, with error bars."""

import numpy as np

import helicopter

rng = np.random.default_rng(0)
y, x = np.mgrid[:256, :256]
signal = 2000 + 1200 * np.sin(x / 23) * np.cos(y / 31) + rng.normal(0, 20, (256, 256))
measurement = np.clip(signal, 0, 4095).astype(np.uint16)

dead = rng.random(measurement.shape) < 0.05  # single dead pixels ...
dead[100:104, :] = True  # ... and a dead line
damaged = measurement.copy()
damaged[dead] = 65535  # what stands there is never read

result = helicopter.reconstruct(damaged, dead, "biharmonic", data_range=(0, 4095))
error = np.abs(result.reconstruction[dead].astype(float) - measurement[dead])
sigma = result.uncertainty_map[dead]
print(f"mean error {error.mean():.1f}, stated standard deviation {sigma.mean():.1f} (counts)")
print(f"within two standard deviations: {np.mean(error < 2 * sigma):.0%}")
