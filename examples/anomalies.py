"""Find defects in a woven cloth, with a rate of false alarms that is chosen beforehand."""

import numpy as np

import helicopter

rng = np.random.default_rng(0)
y, x = np.mgrid[:192, :256]
weave = 130 + 25 * np.sin(2 * np.pi * x / 7.3) * np.sin(2 * np.pi * y / 9.1)
cloth = weave + rng.normal(0, 4, weave.shape)  # with a little noise: that is no anomaly
cloth[np.hypot(y - 60, x - 190) < 8] -= 50  # a stain
scratch = (np.abs(y - 0.5 * x - 70) < 1) & (x > 40) & (x < 100)
cloth[scratch] += 60
image = np.clip(np.rint(cloth), 0, 255).astype(np.uint8)

found = helicopter.find_anomalies(image, level=0.05)
print(f"{len(found.regions)} regions out of {found.candidates} places tested")
for region in found.regions:
    top, left, bottom, right = region.bounding_box
    print(
        f"{region.label}: rows {top} to {bottom}, columns {left} to {right}, "
        f"{region.mean_deviation:+.0f} grey levels, probability {region.probability:.3f}"
    )
print(f"the map is highest at {np.unravel_index(np.argmax(found.anomaly_map), image.shape)}")

# what must not be looked at is left out, whatever stands there
label = np.zeros(image.shape, bool)
label[40:80, 170:210] = True
print(f"{len(helicopter.find_anomalies(image, level=0.05, mask=label).regions)} without the label")
