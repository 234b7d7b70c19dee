"""Whether two results are the same one, as far as their tiers ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter._shared.result import Result

from .tiers import BOOL_FLIPS, Tier, tiers_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from helicopter.backends.protocol import NoiseRun

__all__ = ["assert_noise_parity", "assert_parity"]


def assert_parity(
    result_a: Result, result_b: Result, *, data_range: tuple[float, float] | None = None
) -> None:
    """Raise unless two results agree within the tiers of `helicopter.testing.tiers`.

    Parameters
    ----------
    result_a, result_b : Result
        Of the same call on two backends.
    data_range : tuple of float, optional
        What the call was given, if anything.

    Raises
    ------
    AssertionError
        It names every field that differs, by how much, where, and what was allowed.
    """
    __tracebackhide__ = True
    complaints = list(_compare(result_a, result_b, "", data_range, None))
    if complaints:
        names = [str(getattr(result, "backend", "")) or "?" for result in (result_a, result_b)]
        raise AssertionError(
            f"{type(result_a).__name__}: {names[0]} and {names[1]} differ in {len(complaints)} "
            "place(s):\n" + "\n".join(f"  {text}" for text in complaints)
        )


def assert_noise_parity(run_a: NoiseRun, run_b: NoiseRun) -> None:
    """Raise unless two backends found the same about the noise, within the tiers of a `NoiseRun`.

    Parameters
    ----------
    run_a, run_b : NoiseRun
        Of the same image or segment.

    Raises
    ------
    AssertionError
        It names every field that differs, by how much, where, and what was allowed.
    """
    __tracebackhide__ = True
    complaints: list[str] = []
    for name, tier in tiers_of("NoiseRun", "").items():
        a, b = getattr(run_a, name), getattr(run_b, name)
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
            complaints += _compare_arrays(a, b, tier, 1.0, name, visible=None)
        else:
            complaints += _compare_leaves(a, b, tier, 1.0, name)
    if complaints:
        raise AssertionError(
            f"NoiseRun: the two differ in {len(complaints)} place(s):\n"
            + "\n".join(f"  {text}" for text in complaints)
        )


def _compare(
    a: Result,
    b: Result,
    path: str,
    data_range: tuple[float, float] | None,
    algorithm: str | None,
) -> Iterator[str]:
    if type(a) is not type(b):
        yield f"{path or 'type'}: {type(a).__name__} against {type(b).__name__}"
        return
    algorithm = _algorithm_of(a, algorithm)
    tiers = tiers_of(type(a).__name__, str(algorithm))
    units = _units(a, data_range)
    for name, value in a.items():
        tier, other, label = tiers[name], b[name], f"{path}{name}"
        if tier.kind == "ignored":
            continue
        if tier.kind == "results":
            yield from _compare_results(value, other, label, _range_of(a, data_range), algorithm)
        elif isinstance(value, (dict, tuple)) and tier.kind != "exact":
            yield from _compare_leaves(value, other, tier, units, label)
        elif isinstance(value, np.ndarray) and isinstance(other, np.ndarray):
            visible = _visible(a) if name == "reconstruction" else None
            yield from _compare_arrays(value, other, tier, units, label, visible)
        elif isinstance(value, float) and isinstance(other, float):
            yield from _compare_arrays(
                np.array(value), np.array(other), tier, units, label, visible=None
            )
        elif type(value) is not type(other) or value != other:
            yield f"{label}: {value!r} against {other!r} ({tier})"


def _algorithm_of(result: Any, given: str | None) -> str | None:
    """What predicted: as the result says, or the one that it is part of, or one of its parts."""
    own = getattr(result, "algorithm", given)
    if own is not None:
        return str(own)
    parts = (getattr(value, "algorithm", None) for value in result.values())
    return next((part for part in parts if part is not None), None)


def _compare_results(
    a: Any, b: Any, label: str, data_range: tuple[float, float] | None, algorithm: str | None
) -> Iterator[str]:
    if isinstance(a, Result):
        yield from _compare(a, b, f"{label}.", data_range, algorithm)
        return
    if a is None or b is None:
        if a is not b:
            yield f"{label}: {type(a).__name__} against {type(b).__name__}"
        return
    if len(a) != len(b):
        yield f"{label}: {len(a)} items against {len(b)}"
    for number, (one, other) in enumerate(zip(a, b, strict=False)):
        yield from _compare(one, other, f"{label}[{number}].", data_range, algorithm)


def _compare_leaves(a: Any, b: Any, tier: Tier, units: float, label: str) -> Iterator[str]:
    """Compare numbers that lie deep in dicts, lists and tuples."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        for name, value in a.items():
            yield from _compare_leaves(value, b[name], tier, units, f"{label}[{name!r}]")
    elif isinstance(a, (list, tuple)) and type(a) is type(b) and len(a) == len(b):
        for number, (one, other) in enumerate(zip(a, b, strict=True)):
            yield from _compare_leaves(one, other, tier, units, f"{label}[{number}]")
    elif isinstance(a, float) and isinstance(b, float):
        yield from _compare_arrays(np.array(a), np.array(b), tier, units, label, visible=None)
    elif type(a) is not type(b) or a != b:
        yield f"{label}: {a!r} against {b!r} ({tier})"


def _compare_arrays(
    a: NDArray[Any],
    b: NDArray[Any],
    tier: Tier,
    units: float,
    label: str,
    visible: NDArray[np.bool_] | None,
) -> Iterator[str]:
    if a.shape != b.shape or a.dtype != b.dtype:
        yield f"{label}: {a.dtype} {a.shape} against {b.dtype} {b.shape}"
        return
    if visible is not None:
        changed = visible.reshape(visible.shape + (1,) * (a.ndim - 2)) & _unequal(a, b)
        if changed.any():
            yield _describe(a, b, changed, f"{label} where visible", Tier("exact"))
            return
    if a.dtype.kind == "b" and tier.kind == "allclose":
        wrong = a != b
        if wrong.mean() > BOOL_FLIPS:
            yield _describe(a, b, wrong, label, tier)
        return
    wrong = _wrong(a, b, tier, units)
    if wrong.any():
        yield _describe(a, b, wrong, label, tier)


def _unequal(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    if a.dtype.kind != "f":
        return np.asarray(a != b)
    return np.asarray((a != b) & ~(np.isnan(a) & np.isnan(b)))


def _wrong(a: NDArray[Any], b: NDArray[Any], tier: Tier, units: float) -> NDArray[np.bool_]:
    unequal = _unequal(a, b)
    if tier.kind == "exact" or not unequal.any():
        return unequal
    x, y = a.astype(np.float64), b.astype(np.float64)
    absolute = tier.absolute
    if tier.scale == "decibels":
        x, y = 10.0 ** (-x / 20.0), 10.0 ** (-y / 20.0)
    elif tier.scale == "intensity":
        absolute = max(absolute * units, 1.0 if a.dtype.kind == "u" else 0.0)
    size = np.maximum(np.abs(x), np.abs(y))
    if tier.scale == "skill":
        size = np.maximum(np.abs(1.0 - x), np.abs(1.0 - y))
    if tier.kind == "ulp":
        allowed = tier.ulps * np.spacing(size)
    else:
        allowed = np.maximum(absolute, tier.relative * size)
    with np.errstate(invalid="ignore"):
        # written so that a NaN or an infinity on one side only is wrong
        return unequal & ~(np.abs(x - y) <= allowed)


def _describe(
    a: NDArray[Any], b: NDArray[Any], wrong: NDArray[np.bool_], label: str, tier: Tier
) -> str:
    if a.ndim == 0:
        return f"{label}: {a.item()!r} against {b.item()!r} ({tier})"
    with np.errstate(invalid="ignore"):
        distance = np.where(wrong, np.abs(a.astype(np.float64) - b.astype(np.float64)), -1.0)
    distance = np.where(np.isnan(distance), np.inf, distance)
    at = np.unravel_index(int(np.argmax(distance)), a.shape)
    place = ", ".join(str(int(index)) for index in at)
    return (
        f"{label}: {int(wrong.sum())} of {wrong.size} values differ; the farthest apart are "
        f"{a[at].item()!r} and {b[at].item()!r} at ({place}) ({tier})"
    )


def _range_of(result: Result, data_range: tuple[float, float] | None) -> tuple[float, float] | None:
    """What the parts of a result are counted in, as far as the result tells."""
    if data_range is None and isinstance(getattr(result, "reconstruction", None), np.ndarray):
        return 0.0, _units(result, None)
    return data_range


def _units(result: Result, data_range: tuple[float, float] | None) -> float:
    known = data_range or getattr(result, "data_range", None)
    if known is not None:
        return float(known[1] - known[0])
    image = getattr(result, "reconstruction", None)
    if isinstance(image, np.ndarray) and image.dtype.kind == "u":
        return float(np.iinfo(image.dtype).max)
    return 1.0


def _visible(result: Result) -> NDArray[np.bool_]:
    """Pixels that were given: there nothing is uncertain."""
    hidden = getattr(result, "hidden_mask", None)
    if isinstance(hidden, np.ndarray):
        return ~hidden
    return np.asarray(result["uncertainty_map"] == 0)
