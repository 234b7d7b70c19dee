"""Exemplar fill: hidden regions are sewn together from patches of the visible ones.

Wexler, Shechtman & Irani, "Space-time completion of video", IEEE TPAMI 29 (2007): from coarse to
fine, every patch that holds a hidden pixel seeks its like among the wholly visible patches, and the
patches that were found vote for what is hidden, again and again. The search is that of Barnes,
Shechtman, Finkelstein & Goldman, "PatchMatch", ACM Trans. Graph. 28 (2009), in sweeps that read
only the sweep before, so that order and threads do not matter. The fourth channel, which says how
busy the image is there at full resolution, is that of Newson et al., "Video inpainting of complex
scenes", SIAM J. Imaging Sci. 7 (2014).

Everything is decided by integers, by float32 operations in a fixed order, and by hashes instead of
a stream of random numbers. So both backends give the same to the bit, except where there is nothing
to copy from and the harmonic solution stands in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from helicopter._shared.ranking import GOLDEN, STREAM_EXEMPLAR, mix
from helicopter.backends.reference.algorithms import pde

from .frame import Frame, fill_membrane

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Progress = Callable[[int, int], None]
    Indices = NDArray[np.int64]

__all__ = ["fill"]

#: Radii of patches, the best one first.
RADII = (3, 2, 1)
#: One of so many visible pixels, at least, must be the centre of a wholly visible patch.
SCARCITY = 16
#: Holes are thin enough to begin with when no hidden pixel is farther from the visible ones.
THIN = 2
#: Rounds of seeking and voting at the finest level, how many more each coarser one has, at most.
ROUNDS, MORE_ROUNDS, MOST_ROUNDS = 2, 4, 12
#: How far the sweeps of a round look for what neighbours have found.
STEPS = (4, 2, 1)
#: The same in the very first round, which starts from nothing and so takes longer.
FIRST_STEPS = (1, 2, 4, 8, 1, 2, 4, 8, 4, 2, 1)
#: What a visible pixel counts in the difference of patches; one that is a guess so far counts 1.
VISIBLE = 4
#: What is left of a patch's votes with each pixel of distance from what is visible; how far.
TRUST_PER_STEP, FARTHEST = np.float32(0.7), 64

#: Stands for no target, and for no source.
NONE = -1
#: A difference that has not been measured.
UNMEASURED = 2**32 - 1
#: Random numbers set aside for each pixel of a sweep.
DRAWS = 32
#: Patches compared at a time; bounds the memory, and Ctrl-C waits no longer.
CHUNK = 1 << 13
#: Targets that a sweep works on at a time; bounds the memory, too.
BLOCK = 1 << 16


def fill(
    context: NDArray[np.float32],
    mask: NDArray[np.bool_],
    seed: int = 0,
    progress: Progress | None = None,
) -> None:
    """Fill the hidden pixels of `context` in place with what is found elsewhere in it.

    Where hardly any patch is wholly visible (single pixels, strewn densely), the harmonic solution
    is given instead.

    Parameters
    ----------
    context : float32 ndarray of shape (H, W, C)
        In [0, 1], one or three channels. What stands at hidden pixels is never read.
    mask : bool ndarray of shape (H, W)
        True = hidden. At least one pixel must be visible.
    seed : int
        Decides which patches are tried.
    progress : callable, optional
        Called with (done, total); what it raises stops the work.
    """
    if not mask.any():
        return
    finest = Frame.of_image(context, mask)
    radius = next((radius for radius in RADII if _has_sources(finest, radius)), None)
    if radius is None:
        pde.solve(context, mask, "harmonic")
        if progress is not None:
            progress(1, 1)
        return
    frames = [finest]
    while (coarser := _coarser(frames[-1], radius)) is not None:
        frames.append(coarser)
    fill_membrane(frames[-1])

    rounds = [min(ROUNDS + MORE_ROUNDS * number, MOST_ROUNDS) for number in range(len(frames))]
    work = sum(n * frame.hidden for n, frame in zip(rounds, frames, strict=True))
    done = 0
    above: tuple[Level, Field] | None = None
    while frames:
        frame = frames.pop()
        number = len(frames)
        level = Level(frame, radius)
        if above is None:
            field = Field.unknown(level)
        else:
            level.take_colours(above[0])
            field = Field.refined(*above, level)
            cast_votes(level, field)
        search = Search(level, _hash(_hash(seed, STREAM_EXEMPLAR), number))
        search.settle(field)
        for turn in range(rounds[number]):
            field.measure(level)
            for step in STEPS if done else FIRST_STEPS:
                field = search.sweep(field, step)
            if number > 0 or turn + 1 < rounds[number]:
                cast_votes(level, field)
            done += frame.hidden
            if progress is not None:
                progress(done, work)
        above = level, field
    _deliver(level, field, context)


def _has_sources(frame: Frame, radius: int) -> bool:
    """Whether there are patches enough to choose from."""
    found = int(np.count_nonzero(frame.sources(radius)))
    return found > 0 and SCARCITY * found >= int(np.count_nonzero(frame.visible))


def _coarser(frame: Frame, radius: int) -> Frame | None:
    """Return the frame at half the resolution, if it is of any use."""
    if frame.distances().max() <= THIN:
        return None
    coarse = frame.halved()
    return coarse if coarse.hidden and _has_sources(coarse, radius) else None


def _hash(key: NDArray[np.uint64] | int, counter: NDArray[np.uint64] | int) -> NDArray[np.uint64]:
    """Mix a key with counters, as `ranking.random_ranks` does."""
    start, by = (np.atleast_1d(np.asarray(value, dtype=np.uint64)) for value in (key, counter))
    return mix(start + by * GOLDEN)


class Level:
    """A frame while it is being filled, and the patches that this takes.

    Pixels go by their index in the frame with its margin; `shift` leads from the centre of a patch
    to its pixels, in the order of rows.
    """

    def __init__(self, frame: Frame, radius: int) -> None:
        self.frame, self.radius = frame, radius
        around = np.arange(-radius, radius + 1)
        self.shift = (around[:, None] * frame.stride + around).ravel()
        # centres of the patches that hold a hidden pixel
        self.targets = np.flatnonzero(frame.near_hidden(radius))
        self.hidden = ~frame.visible.ravel()[self.targets]
        self.number = np.full(frame.visible.size, NONE, dtype=np.int32)
        self.number[self.targets] = np.arange(self.targets.size)
        self.is_source = frame.sources(radius).ravel()
        self.sources = np.flatnonzero(self.is_source)
        trusts = np.ones(FARTHEST + 1, dtype=np.float32)
        for step in range(FARTHEST):
            trusts[step + 1] = trusts[step] * TRUST_PER_STEP
        steps = frame.distances().ravel()[self.targets]
        self.trust = trusts[np.minimum(steps, FARTHEST)]
        # by pixel: 0 outside the image, else what it counts
        self.count = np.where(frame.visible, VISIBLE, frame.inside).ravel().astype(np.int32)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The frame's pixels, (margin included, 4); a view."""
        return self.frame.pixels.reshape(-1, 4)

    def take_colours(self, coarse: Level) -> None:
        """Begin with the colours of the coarser level."""
        targets = self.targets[self.hidden]
        y, x = self.frame.place(targets)
        self.pixels[targets] = coarse.pixels[coarse.frame.at(y // 2, x // 2)]

    def difference(self, numbers: Indices, sources: Indices) -> Indices:
        """Compare the patches of targets, given by number, with those around `sources`."""
        found = np.empty(numbers.size, dtype=np.int64)
        packed = self.pixels.view(np.uint32).ravel()  # a pixel at a time is fetched faster
        for first in range(0, numbers.size, CHUNK):
            some = slice(first, first + CHUNK)
            ours = self.targets[numbers[some], None] + self.shift
            theirs = sources[some, None] + self.shift
            shape = (*ours.shape, 4)
            apart = packed[ours].view(np.uint8).reshape(shape).astype(np.int32)
            apart -= packed[theirs].view(np.uint8).reshape(shape)
            squares = np.einsum("npc,npc->np", apart, apart)
            found[some] = np.einsum("np,np->n", squares, self.count[ours])
        return found


@dataclass
class Field:
    """By target, the centre of the patch that was found, and the difference between the two."""

    source: Indices
    difference: Indices

    @classmethod
    def unknown(cls, level: Level) -> Field:
        """Nothing has been found yet."""
        count = level.targets.size
        return cls(np.full(count, NONE), np.full(count, UNMEASURED))

    @classmethod
    def refined(cls, coarse: Level, found: Field, level: Level) -> Field:
        """Begin with what was found at half the resolution, where it is a source here."""
        field = cls.unknown(level)
        y, x = level.frame.place(level.targets)
        parent = coarse.number[coarse.frame.at(y // 2, x // 2)]
        v, u = coarse.frame.place(found.source[parent])
        # one row or column too far is in the margin, which holds no sources
        at = level.frame.at(2 * v + y % 2, 2 * u + x % 2)
        good = (parent != NONE) & level.is_source[at]
        field.source[good] = at[good]
        return field

    def measure(self, level: Level) -> None:
        """Compare the patches again, because the image has changed."""
        self.difference = level.difference(np.arange(self.source.size), self.source)


class Search:
    """The search of one level: nearest-neighbour field, sweep by sweep."""

    def __init__(self, level: Level, key: NDArray[np.uint64]) -> None:
        self.level, self.key, self.sweeps = level, key, 0

    def settle(self, field: Field) -> None:
        """Give every target without a source a random one."""
        bare = np.flatnonzero(field.source == NONE)
        draw = self._draw(self.level.targets[bare], 0)
        count = self.level.sources.size
        field.source[bare] = self.level.sources[_below(draw >> np.uint64(32), count)]

    def sweep(self, field: Field, step: int) -> Field:
        """Try what neighbours `step` pixels away have found, then random places ever closer by."""
        self.sweeps += 1
        level = self.level
        best = Field(field.source.copy(), field.difference.copy())
        for first in range(0, level.targets.size, BLOCK):
            numbers = np.arange(first, min(first + BLOCK, level.targets.size))
            self._propagate(field, best, numbers, step)
            self._wander(best, numbers)
        return best

    def _propagate(self, field: Field, best: Field, numbers: Indices, step: int) -> None:
        """Try to continue the patches of targets `step` pixels away."""
        level, frame = self.level, self.level.frame
        y, x = frame.place(level.targets[numbers])
        for dy, dx in ((-step, 0), (step, 0), (0, -step), (0, step)):
            here = frame.holds(y + dy, x + dx)
            neighbour = level.number[frame.at(y[here] + dy, x[here] + dx)]
            known = neighbour != NONE
            v, u = frame.place(field.source[neighbour[known]])
            self._consider(best, numbers[here][known], v - dy, u - dx)

    def _wander(self, best: Field, numbers: Indices) -> None:
        """Try random places ever closer to the best that is known."""
        reach = max(self.level.frame.height, self.level.frame.width)
        for draw in range(reach.bit_length()):
            random = self._draw(self.level.targets[numbers], draw)
            v, u = self.level.frame.place(best.source[numbers])
            v += _below(random >> np.uint64(32), 2 * reach + 1) - reach
            u += _below(random, 2 * reach + 1) - reach
            self._consider(best, numbers, v, u)
            reach //= 2

    def _consider(self, best: Field, numbers: Indices, v: Indices, u: Indices) -> None:
        """Take the sources at (v, u) for the targets with these numbers where they are better."""
        level = self.level
        inside = level.frame.holds(v, u)
        numbers, candidates = numbers[inside], level.frame.at(v[inside], u[inside])
        new = level.is_source[candidates] & (candidates != best.source[numbers])
        numbers, candidates = numbers[new], candidates[new]
        found = level.difference(numbers, candidates)
        better = found < best.difference[numbers]
        best.source[numbers[better]] = candidates[better]
        best.difference[numbers[better]] = found[better]

    def _draw(self, pixels: Indices, number: int) -> NDArray[np.uint64]:
        """Random number `number` of this sweep for each of the pixels."""
        index = pixels.astype(np.uint64) * np.uint64(DRAWS) + np.uint64(number)
        return _hash(_hash(self.key, self.sweeps), index + np.uint64(1))


def _below(random: NDArray[np.uint64], count: int) -> Indices:
    """Turn 32 random bits into a whole number from 0 to `count` - 1."""
    low = random & np.uint64(0xFFFFFFFF)
    return ((low * np.uint64(count)) >> np.uint64(32)).astype(np.int64)


def cast_votes(level: Level, field: Field) -> None:
    """Make every hidden pixel the weighted mean of what the patches over it say."""
    weights = _weights(level, field)
    pixels = level.pixels
    targets = level.targets[level.hidden]
    colours = pixels[targets]
    for first in range(0, targets.size, CHUNK):
        here = targets[first : first + CHUNK]
        sums = np.zeros((here.size, 4), dtype=np.float32)
        total = np.zeros(here.size, dtype=np.float32)
        for shift in level.shift:
            number = level.number[here - shift]
            voters = np.flatnonzero(number != NONE)
            number = number[voters]
            weight = weights[number]
            said = pixels[np.maximum(field.source[number] + shift, 0)].astype(np.float32)
            sums[voters] += weight[:, None] * said
            total[voters] += weight
        voted = total > 0
        means = sums[voted] / total[voted, None]
        colours[first : first + CHUNK][voted] = (means + np.float32(0.5)).astype(np.uint8)
    pixels[targets] = colours


def _weights(level: Level, field: Field) -> NDArray[np.float32]:
    """Count patches more that lie near what is visible, and that are like their sources."""
    known = field.difference != UNMEASURED
    weights = np.where(field.source == NONE, np.float32(0), level.trust)
    if known.any():
        # nine tenths of the differences are no larger than this
        place = 9 * (int(np.count_nonzero(known)) - 1) // 10
        spread = np.float32(max(int(np.partition(field.difference[known], place)[place]), 1))
        likeness = spread / (spread + field.difference[known].astype(np.float32))
        squared = likeness * likeness
        weights[known] *= squared * squared
    return weights


def _deliver(level: Level, field: Field, context: NDArray[np.float32]) -> None:
    """Give every hidden pixel of the image itself the centre of the patch that was found."""
    y, x = level.frame.place(level.targets[level.hidden])
    v, u = level.frame.place(field.source[level.hidden])
    context[y, x] = context[v, u]
