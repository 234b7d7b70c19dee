"""The images of a command, read with their mask; one that fails does not stop the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from helicopter._version import __version__
from helicopter.errors import HelicopterError, InvalidMaskError, RustAccelerationError

from ._output import BAD_USAGE, FAILED, about, complain, debugging, emit_json, explain
from ._signals import ended, exit_code

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from helicopter.io import LoadedImage

    from ._options import Reading

__all__ = ["Mask", "Outcome", "Picture", "each_image", "read_mask", "read_picture"]


class Mask(NamedTuple):
    """What is hidden of all images of a command, and the file that says so; None: nothing is."""

    file: Path | None
    hidden: NDArray[np.bool_] | None

    def check_fits(self, picture: Picture) -> None:
        """Refuse a mask that is not of the image's size.

        Raises
        ------
        InvalidMaskError
        """
        pixels = picture.loaded.pixels
        if self.hidden is None or self.hidden.shape == pixels.shape[:2]:
            return
        sizes = [f"{array.shape[1]} x {array.shape[0]}" for array in (self.hidden, pixels)]
        raise InvalidMaskError(
            f"{str(self.file)!r}: the mask is {sizes[0]} pixels, but the image "
            f"{str(picture.path)!r} is {sizes[1]}; save the mask at the size of the image"
        )


class Picture(NamedTuple):
    """An image as it was read; its number among the images of the command."""

    path: Path
    loaded: LoadedImage
    number: int = 0

    def facts(self) -> dict[str, Any]:
        """Return what JSON says of every image."""
        pixels = self.loaded.pixels
        return {
            "image": str(self.path),
            "format": self.loaded.format,
            "shape": list(pixels.shape),
            "dtype": str(pixels.dtype),
        }


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
            return exit_code()
        if not self.codes:
            return 0
        # options that no image can be analysed with are bad usage, anything else is a failure
        return BAD_USAGE if not self.done and set(self.codes) == {BAD_USAGE} else FAILED


def read_mask(file: Path | None, reading: Reading) -> Mask:
    """Read the mask of all images, if one was named."""
    from helicopter import io

    return Mask(file, None if file is None else io.read_mask(file, max_pixels=reading.limit))


def read_picture(path: Path, reading: Reading, number: int = 0) -> Picture:
    """Read one image."""
    from helicopter import io

    return Picture(path, io.read_image(path, max_pixels=reading.limit), number)


def each_image(
    paths: Sequence[Path], reading: Reading, mask: Mask, work: Callable[[Picture], dict[str, Any]]
) -> Outcome:
    """Call `work` with each image, and complain of those that fail."""
    outcome = Outcome(len(paths))
    for number, path in enumerate(paths):
        try:
            picture = read_picture(path, reading, number)
            mask.check_fits(picture)
            outcome.done.append(work(picture))
        except KeyboardInterrupt:
            outcome.interrupted = True
            break
        except RustAccelerationError as error:
            # the machine is at fault, not the image: the next one would fail as well
            raise type(error)(about(path, str(error))) from error
        except Exception as error:  # whatever it is, the other images are still worth doing
            if ended():  # which a library has made another error of
                outcome.interrupted = True
                break
            if debugging():
                raise
            code, message = explain(error)
            if isinstance(error, HelicopterError):
                message = about(path, message)
            complain(message)
            outcome.codes.append(code)
            outcome.failed.append({"image": str(path), "error": message})
        if ended():  # and the exception was lost
            outcome.interrupted = True
            break
    return outcome
