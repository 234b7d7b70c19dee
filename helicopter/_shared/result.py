"""What results have in common: frozen dataclasses that also read like mappings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from .display import display

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Result"]


def _jsonable(value: Any, arrays: bool) -> Any:
    if isinstance(value, Result):
        return value.to_dict(arrays=arrays)
    if isinstance(value, np.ndarray):
        if arrays:
            finite = value.dtype.kind != "f" or bool(np.isfinite(value).all())
            return value.tolist() if finite else _jsonable(value.tolist(), arrays)
        return {"shape": list(value.shape), "dtype": str(value.dtype)}
    if isinstance(value, np.generic):
        return _jsonable(value.item(), arrays)
    if isinstance(value, float) and not np.isfinite(value):
        return None  # JSON knows neither infinity nor NaN
    if isinstance(value, (tuple, list)):
        return [_jsonable(item, arrays) for item in value]
    if isinstance(value, dict):
        return {name: _jsonable(item, arrays) for name, item in value.items()}
    return value


#: Fields of a result that are shown within another.
_FIRST = 4


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"<{value.dtype} {'x'.join(map(str, value.shape))}>"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple) and len(value) <= 4 and all(map(_is_plain, value)):
        return f"({', '.join(map(_brief, value))}{',' * (len(value) == 1)})"
    if isinstance(value, (tuple, dict)):
        return f"<{len(value)} items>"
    if isinstance(value, Result):  # what comes first in it; all of it has a text of its own
        names = value._names()
        shown = [f"{name}={_brief(value[name])}" for name in names[:_FIRST]]
        return f"{type(value).__name__}({', '.join([*shown, '...'][: len(names)])})"
    return repr(value)


def _is_plain(value: Any) -> bool:
    return isinstance(value, (int, float, str))


# eq=False: results compare by identity, like the owners of arrays do
@dataclass(frozen=True, eq=False)
class Result(Mapping[str, Any]):
    """A frozen dataclass that is also a read-only mapping from field name to value."""

    # Mapping would compare by value, and arrays have no truth value
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __getitem__(self, name: str) -> Any:
        if name in self._names():
            return getattr(self, name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        # what begins with an underscore serves the methods only
        return tuple(item.name for item in fields(cls) if not item.name.startswith("_"))

    def to_dict(self, *, arrays: bool = False) -> dict[str, Any]:
        """Return the fields as JSON-ready values.

        Parameters
        ----------
        arrays : bool, default False
            Write arrays out as nested lists. Without it an array is described by its shape and
            dtype only, since images as JSON text are rarely wanted.

        Returns
        -------
        dict
            Infinite and undefined numbers become ``None``.
        """
        return {name: _jsonable(getattr(self, name), arrays) for name in self._names()}

    def plot(self) -> Figure:
        """Draw the result with matplotlib and return the figure (nothing is shown by itself)."""
        figure: Figure = display("figure")(self)
        return figure

    def _repr_html_(self) -> str:
        page: str = display("html")(self)
        return page

    def __repr__(self) -> str:
        shown = (f"{name}={_brief(getattr(self, name))}" for name in self._names())
        return f"{type(self).__name__}({', '.join(shown)})"
