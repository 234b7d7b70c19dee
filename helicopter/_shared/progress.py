"""One way to tell how far a long call has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from helicopter.errors import InvalidOptionError

__all__ = ["ProgressCallback", "as_callback"]

ProgressCallback = Callable[[int, int], None]
"""Called as ``callback(done, total)``; what it raises stops the call."""


def as_callback(
    progress: bool | ProgressCallback | None, description: str
) -> AbstractContextManager[ProgressCallback | None]:
    """Turn what the caller passed as ``progress=`` into a callback, for the length of a ``with``.

    Parameters
    ----------
    progress : None, True or callable
        ``None`` (or ``False``): nothing. ``True``: a bar on stderr, if that is a terminal. A
        callable is handed back as it is.
    description : str
        What stands beside the bar.

    Raises
    ------
    InvalidOptionError
        If `progress` is anything else; raised at once, not on entering the ``with``.
    """
    if progress is None or progress is False:
        return nullcontext(None)
    if progress is True:
        return _bar(description)
    if callable(progress):
        return nullcontext(progress)
    raise InvalidOptionError(
        "progress must be None, True or a callable that takes (done, total), "
        f"got {type(progress).__name__}"
    )


@contextmanager
def _bar(description: str) -> Iterator[ProgressCallback]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,  # a log file has no use for a bar that moves
    )
    with bar:
        # the description may hold a file name, and a file name may hold rich's markup
        task = bar.add_task(escape(description), total=None)

        def callback(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield callback
