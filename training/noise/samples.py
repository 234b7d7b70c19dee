"""Measurements of pictures with known noise of all kinds, from which the conclusions are learnt.

    python training/noise/samples.py PHOTOGRAPHS -o FILE.npz --channels 1 --count 20000 --seed 1

Draws crops of clean photographs at several sizes and exposures, puts noise on them, of one kind or
of two, and writes what the accelerator measures beside the truth. Needs `helicopter_rs`, and the
blocks' network (`--weights`, of `train.py`). One photograph in eight is held out: `--held-out`.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

SHAPES = ((64, 64), (96, 128), (160, 224), (256, 256), (320, 480), (400, 600), (512, 768))
CHANCE = (0.05, 0.07, 0.11, 0.14, 0.15, 0.16, 0.32)
FILTERS = (
    Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.HAMMING,
    Image.Resampling.BOX,
)  # fmt: skip
FINE = ("none", "gaussian", "poisson", "speckle", "uniform", "poisson_gaussian")
TRUTH = (
    "sigma", "red", "green", "blue", "coloured", "scale_1", "scale_2", "scale_4", "scale_8",
    "fine", "impulse", "periodic", "compression", "gain", "speckle", "density", "quality",
    "level_known", "quantum", "pixels",
)  # fmt: skip


def load(folder: Path, *, held_out: bool) -> list[Image.Image]:
    """The pictures of one side."""
    paths = sorted(p for p in folder.iterdir() if p.suffix in {".png", ".webp", ".jpg"})
    out = []
    for index, path in enumerate(paths):
        if (index % 8 == 0) == held_out:
            with Image.open(path) as image:
                out.append(image.convert("RGB"))
    return out


class Sampler:
    """Draws noisy pictures and the truth about them."""

    def __init__(self, pictures: list[Image.Image], channels: int, seed: int) -> None:
        self.pictures, self.channels = pictures, channels
        self.random = np.random.default_rng(seed)

    def picture(self) -> np.ndarray:
        """A piece of a picture or, as few are large, a collage of some: (H, W, 3) in bytes."""
        random = self.random
        h, w = SHAPES[random.choice(len(SHAPES), p=CHANCE)]
        if random.random() < 0.5:
            h, w = w, h
        rows = columns = 1
        if h * w >= 60_000 and random.random() < 0.4:
            rows, columns = ((1, 2), (2, 1), (2, 2))[random.integers(3)]
        while not any(p.height >= h // rows and p.width >= w // columns for p in self.pictures):
            if h // rows > w // columns:
                rows += 1
            else:
                columns += 1
        parts = [
            np.hstack([self.crop(h // rows, w // columns) for _ in range(columns)])
            for _ in range(rows)
        ]
        return np.vstack(parts)

    def crop(self, h: int, w: int) -> np.ndarray:
        """A piece of a picture, made smaller by anything up to 2.2."""
        random = self.random
        fitting = [p for p in self.pictures if p.height >= h and p.width >= w]
        picture = fitting[random.integers(len(fitting))]
        factor = 1.0
        if random.random() < 0.75:
            factor = min(self.log_uniform(1, 2.2), picture.height / h, picture.width / w)
        height, width = int(h * factor), int(w * factor)
        y = random.integers(picture.height - height + 1)
        x = random.integers(picture.width - width + 1)
        piece = picture.crop((x, y, x + width, y + height))
        if (width, height) != (w, h):
            piece = piece.resize((w, h), FILTERS[random.integers(len(FILTERS))])
        if random.random() < 0.15:
            percent = int(random.integers(20, 100))
            piece = piece.filter(ImageFilter.UnsharpMask(radius=1, percent=percent, threshold=0))
        return np.asarray(piece)

    def clean(self) -> np.ndarray:
        """A crop in grey levels, float32 (H, W, C)."""
        random = self.random
        crop = self.picture()
        if self.channels == 3:
            crop = crop[:, :, random.permutation(3)] if random.random() < 0.3 else crop
        elif random.random() < 0.3:
            crop = np.rint(crop @ random.dirichlet((2, 2, 2)))[:, :, None]
        else:
            crop = np.asarray(Image.fromarray(crop).convert("L"))[:, :, None]
        crop = crop[:: random.choice((-1, 1)), :: random.choice((-1, 1))].astype(np.float32)
        if random.random() < 0.15:
            crop = np.rint(255 * (crop / 255) ** np.float32(np.exp(random.uniform(-0.5, 0.5))))
        if random.random() < 0.12:  # a narrow histogram
            share = random.uniform(0.2, 1)
            crop = np.rint(share * crop + 255 * random.uniform() * (1 - share))
        if random.random() < 0.05:  # over-exposed
            crop = np.minimum(crop * random.uniform(1.1, 1.8), 255)
        return crop

    def log_uniform(self, low: float, high: float) -> float:
        return float(np.exp(self.random.uniform(np.log(low), np.log(high))))

    def kinds(self) -> tuple[str, set[str]]:
        """The fine noise's kind, and what else there is."""
        random = self.random
        fine = random.choice(
            ["none", "gaussian", "poisson", "speckle", "uniform", "poisson_gaussian", "coloured"],
            p=[0.34, 0.28, 0.10, 0.09, 0.09, 0.04, 0.06],
        )
        others = ["salt_pepper", "impulse", "periodic", "compression"]
        more: set[str] = set()
        if random.random() < (0.62 if fine == "none" else 0.25):
            more.add(str(random.choice(others)))
            if fine == "none" and random.random() < 0.08:
                more.add(str(random.choice(others)))
        if {"salt_pepper", "impulse"} <= more:
            more.remove("impulse")
        return str(fine), more

    def sample(self) -> tuple[np.ndarray, float, dict[str, float]]:
        """Pixels in [0, 1], the step of their values, and the truth in grey levels."""
        random = self.random
        x = self.clean()
        fine, more = self.kinds()
        truth = dict.fromkeys(TRUTH, 0.0)
        truth["level_known"] = 1.0
        if fine != "none" and "compression" in more and random.random() < 0.3:
            # noise on what was compressed before
            more.remove("compression")
            truth["compression"], truth["quality"] = 1, int(random.integers(5, 61))
            x = self.compressed(x, int(truth["quality"]), shifted=False)
        noise, variance = self.fine_noise(x, fine, truth)
        y = x + noise
        by_channel = np.broadcast_to(variance, x.shape).mean(axis=(0, 1))
        total = float(np.sqrt(by_channel.mean()))
        truth["sigma"] = total
        for name, own in zip(("red", "green", "blue"), np.sqrt(by_channel), strict=False):
            truth[name] = float(own)
        if not truth["coloured"]:
            for side in (1, 2, 4, 8):
                truth[f"scale_{side}"] = total / side
        if "periodic" in more:
            y = y + self.waves(*x.shape[:2])[:, :, None]
            truth["periodic"] = 1
        style = random.random()
        rounded = style < 0.85 or "compression" in more
        y = np.clip(y, 0, 255)
        if "salt_pepper" in more or "impulse" in more:
            name = "salt_pepper" if "salt_pepper" in more else "impulse"
            density = self.log_uniform(0.004, 0.32)
            hit = random.random(y.shape[:2]) < density
            if name == "salt_pepper":
                values = np.where(random.random(y.shape[:2]) < 0.5, 255, 0)
            else:
                values = np.floor(random.uniform(0, 256, y.shape[:2]))
            y[hit] = values[hit][:, None]
            truth["impulse"], truth["density"] = 1 + (name == "impulse"), density
        if rounded:
            y = np.rint(y)
        if "compression" in more:
            quality = (
                int(random.integers(5, 81))
                if random.random() < 0.9
                else int(random.integers(81, 93))
            )
            if fine not in ("none",) or more - {"compression"}:
                quality = int(random.integers(40, 91))
            y = self.compressed(y, quality)
            truth["compression"], truth["quality"] = 1, quality
            truth["level_known"] = 0.0
        if random.random() < 0.04:  # a border
            top = int(random.integers(1, max(2, y.shape[0] // 5)))
            y[:top] = random.choice((0, 255))
        truth["quantum"] = float(rounded)
        truth["pixels"] = y.shape[0] * y.shape[1]
        return (y / np.float32(255)).astype(np.float32), float(rounded) / 255, truth

    def fine_noise(
        self, x: np.ndarray, fine: str, truth: dict[str, float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Noise, and its variance before clipping."""
        random = self.random
        h, w, c = x.shape
        nothing = np.zeros((1, 1, c), np.float32)
        truth["fine"] = FINE.index("gaussian" if fine == "coloured" else fine)
        if fine == "none":
            return nothing, nothing
        level = np.maximum(x, 0)
        sigma = self.log_uniform(3, 50) if random.random() < 0.5 else self.log_uniform(0.3, 60)
        if fine == "uniform":
            sigma = self.log_uniform(2, 55)
            noise = sigma * 3**0.5 * random.uniform(-1, 1, x.shape).astype(np.float32)
            return noise, nothing + sigma**2
        white = random.standard_normal(x.shape, dtype=np.float32)
        if fine == "speckle":
            truth["speckle"] = self.log_uniform(0.035, 0.55)
            return truth["speckle"] * level * white, (truth["speckle"] * level) ** 2
        if fine in ("poisson", "poisson_gaussian"):
            truth["gain"] = 255 / self.log_uniform(9, 1100)
            noise = random.poisson(level / truth["gain"]).astype(np.float32) * truth["gain"] - level
            variance = truth["gain"] * level
            if fine == "poisson_gaussian":
                sigma = max(1.0, float(np.sqrt(variance.mean())) * self.log_uniform(0.5, 1.5))
                noise, variance = noise + sigma * white, variance + sigma**2
            return noise, variance
        scale = np.ones(c, np.float32)
        if c == 3 and random.random() < 0.12:
            scale = np.exp(random.uniform(-0.6, 0.6, 3)).astype(np.float32)
        if fine == "coloured":
            from scipy.ndimage import correlate, gaussian_filter

            sigma = self.log_uniform(2, 40)
            if c == 3 and random.random() < 0.4:
                mask = np.zeros(x.shape, np.float32)
                mask[0::2, 0::2, 0] = mask[1::2, 1::2, 2] = 1
                mask[0::2, 1::2, 1] = mask[1::2, 0::2, 1] = 1
                side = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 4
                green = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], np.float32) / 4
                raw = white[:, :, :1] * mask
                white = np.stack(
                    [
                        correlate(raw[:, :, k], (side, green, side)[k], mode="mirror")
                        for k in range(3)
                    ],
                    2,
                )
            else:
                blur = self.log_uniform(0.45, 2.4)
                white = gaussian_filter(white, (blur, blur, 0))
            white /= white.std()
            truth["coloured"] = 1
            for side in (1, 2, 4, 8):
                truth[f"scale_{side}"] = sigma * block_deviation(white, side)
            return sigma * white, nothing + sigma**2
        profile = self.profile(h, w)
        return sigma * scale * profile * white, (sigma * scale * profile) ** 2

    def profile(self, h: int, w: int) -> np.ndarray:
        """Factors on sigma: even for most."""
        random = self.random
        if random.random() > 0.15:
            return np.ones((1, 1, 1), np.float32)
        y, x = np.linspace(-1, 1, h)[:, None, None], np.linspace(-1, 1, w)[None, :, None]
        which, depth = random.integers(3), random.uniform(0.3, 0.9)
        if which == 0:
            angle = random.uniform(0, 2 * np.pi)
            out = 1 + depth * (np.cos(angle) * x + np.sin(angle) * y) / 1.4142
        elif which == 1:
            out = 1 + 1.25 * depth * (x**2 + y**2)
        else:
            inside = (abs(y - random.uniform(-0.6, 0.6)) < 0.4) & (
                abs(x - random.uniform(-0.6, 0.6)) < 0.4
            )
            out = np.where(inside, 1 + 3 * depth, 1.0)
        return out.astype(np.float32)

    def waves(self, h: int, w: int) -> np.ndarray:
        random = self.random
        y, x = np.mgrid[:h, :w].astype(np.float32)
        count = int(random.integers(1, 4))
        amplitude = self.log_uniform(2.8, 42)
        out = np.zeros((h, w), np.float32)
        for _ in range(count):
            period, angle = self.log_uniform(2.2, 40), random.uniform(0, np.pi)
            phase = random.uniform(0, 2 * np.pi)
            out += np.sin(2 * np.pi / period * (np.cos(angle) * x + np.sin(angle) * y) + phase)
        return out * np.float32(amplitude / np.sqrt(count))

    def compressed(self, y: np.ndarray, quality: int, *, shifted: bool = True) -> np.ndarray:
        """As JPEG, sometimes cropped afterwards so that blocks begin anywhere."""
        file = io.BytesIO()
        plain = np.rint(np.clip(y, 0, 255)).astype(np.uint8)
        Image.fromarray(plain[:, :, 0] if self.channels == 1 else plain).save(
            file, "JPEG", quality=quality
        )
        with Image.open(file) as image:
            out = np.asarray(image, dtype=np.float32).reshape(y.shape)
        if shifted and self.random.random() < 0.3 and min(out.shape[:2]) >= 72:
            top, left = self.random.integers(8, size=2)
            out = out[top:, left:]
        return out.copy()


def block_deviation(field: np.ndarray, side: int) -> float:
    """Standard deviation of means over squares."""
    h, w = (n // side * side for n in field.shape[:2])
    if not (h and w):
        return 0.0
    means = field[:h, :w].reshape(h // side, side, w // side, side, -1).mean(axis=(1, 3))
    return float(means.std())


def main() -> None:
    import helicopter_rs

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--channels", type=int, choices=(1, 3), required=True)
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--held-out", action="store_true")
    options = parser.parse_args()
    with np.load(options.weights) as tensors:
        model = helicopter_rs.NoiseModel({name: tensors[name] for name in tensors.files})
    detector = helicopter_rs.ZengezaNoiseDetector(model)
    sampler = Sampler(
        load(options.photographs, held_out=options.held_out), options.channels, options.seed
    )
    measured, truths = [], []

    def write() -> None:
        partial = options.output.with_suffix(".partial.npz")
        np.savez(
            partial,
            measured=np.array(measured, dtype=np.float32),
            truth=np.array(truths, dtype=np.float32),
        )
        partial.replace(options.output)

    for index in range(options.count):
        pixels, quantum, truth = sampler.sample()
        pixels = np.ascontiguousarray(pixels)
        out = detector.measurements(pixels, np.ones(pixels.shape[:2], bool), quantum, threads=1)
        if len(out):
            measured.append(out)
            truths.append([truth[name] for name in TRUTH])
        if index % 1000 == 999:
            print(index + 1, flush=True)
            write()
    write()


if __name__ == "__main__":
    main()
