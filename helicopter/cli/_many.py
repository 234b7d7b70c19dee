"""Many images in one command: one that fails does not stop the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from helicopter._version import __version__
from helicopter.errors import HelicopterError, RustAccelerationError

from ._output import BAD_USAGE, FAILED, about, complain, debugging, emit_json, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["INTERRUPTED", "Outcome", "each_image"]

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@dataclass
class Outcome:
    """What came of each image.

    Attributes
    ----------
    asked : int
        Number of images that were named.
    done : list of dict
        An entry for each image that went well.
    failed : list of dict
        Name and complaint of each that did not.
    codes : list of int
        The exit code that each failure alone would have.
    interrupted : bool
    """

    asked: int
    done: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    interrupted: bool = False

    def emit_json(self) -> None:
        """Print everything as JSON."""
        emit_json({"version": __version__, "images": self.done, "errors": self.failed})

    def exit_code(self) -> int:
        """Return the exit code of the command, and say so if it was interrupted."""
        if self.interrupted:
            complain(f"interrupted; {len(self.done)} of {self.asked} done")
            return INTERRUPTED
        if not self.codes:
            return 0
        # options that no image can be analysed with are bad usage, anything else is a failure
        return BAD_USAGE if not self.done and set(self.codes) == {BAD_USAGE} else FAILED


def each_image(paths: Sequence[Path], work: Callable[[int, Path], dict[str, Any]]) -> Outcome:
    """Call `work` with number and path of each image, and complain of those that fail."""
    outcome = Outcome(len(paths))
    for number, path in enumerate(paths):
        try:
            outcome.done.append(work(number, path))
        except KeyboardInterrupt:
            outcome.interrupted = True
            break
        except RustAccelerationError as error:
            # the machine is at fault, not the image: the next one would fail as well
            raise type(error)(about(path, str(error))) from error
        except Exception as error:  # whatever it is, the other images are still worth doing
            if debugging():
                raise
            code, message = explain(error)
            if isinstance(error, HelicopterError):
                message = about(path, message)
            complain(message)
            outcome.codes.append(code)
            outcome.failed.append({"image": str(path), "error": message})
    return outcome
