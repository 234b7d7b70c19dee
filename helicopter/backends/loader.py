"""Finds the accelerator `helicopter_rs`, or says in one sentence why not.

Nothing here warns, and nothing but an explicit ``use_rust_acceleration=True`` raises because the
accelerator is missing, broken or of another version.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from helicopter._messages import shown
from helicopter._version import __version__
from helicopter.errors import DeviceError, InvalidOptionError, RustAccelerationError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["BackendName", "BackendStatus", "accelerator", "gpu_number", "report", "resolve"]

BackendName = Literal["rust", "python"]

DISABLE_VARIABLE = "HELICOPTER_DISABLE_RUST"

_INSTALL = "python -m pip install ./helicopter-rs (in a clone of Helicopter)"
_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,4})?")
#: Where the wheels of NVIDIA's compiler put it, below the package `nvidia`.
_COMPILERS = ("cu13/lib/libnvrtc.so.13", "cuda_nvrtc/lib/libnvrtc.so.12")


@dataclass(frozen=True)
class BackendStatus:
    """One backend, as this process sees it.

    Attributes
    ----------
    name
        ``"rust"``, ``"python"`` or ``"cuda"``.
    available
        Whether it can be used.
    used
        Whether it is what an engine takes when nothing else is asked for.
    version
        Its version, if it is there; of the accelerator also when it is the wrong one.
    reason
        Why it is not used, in one sentence; empty when it is.
    """

    name: Literal["rust", "python", "cuda"]
    available: bool
    used: bool
    version: str | None
    reason: str


@dataclass(frozen=True)
class _Found:
    """What looking for the accelerator has come to: a module, or a sentence and a remedy."""

    module: ModuleType | None = None
    version: str | None = None
    reason: str = ""
    remedy: str = ""


def accelerator() -> ModuleType | None:
    """Return the module `helicopter_rs` if it can be used, else None."""
    return _find().module


def resolve(use_rust_acceleration: bool | None, device: str) -> tuple[BackendName, str]:
    """Decide what an engine runs on.

    Parameters
    ----------
    use_rust_acceleration
        True: Rust or an error. False: Python. None: Rust if it can be used, else Python.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``. ``"auto"`` takes the first GPU if there
        is one and Rust may be used, else the CPU.

    Returns
    -------
    tuple
        The names of the backend and of the device, ``"cpu"`` or ``"cuda:N"``.

    Raises
    ------
    InvalidOptionError
        If one of the two is none of the values above.
    DeviceError
        If a GPU is asked for that cannot be used: what is missing, and how to get it.
    RustAccelerationError
        If Rust is asked for and cannot be used.
    """
    if use_rust_acceleration is not None and not isinstance(use_rust_acceleration, bool):
        raise InvalidOptionError(
            "use_rust_acceleration must be True, False or None, "
            f"got {shown(use_rust_acceleration)} ({type(use_rust_acceleration).__name__})"
        )
    if not _is_device(device):
        raise InvalidOptionError(
            'device must be "auto", "cpu", "cuda" or "cuda:N" (N: the number of a GPU), '
            f"got {shown(device)} ({type(device).__name__})"
        )
    on_gpu = device.startswith("cuda")
    if use_rust_acceleration is False:
        if on_gpu:
            raise DeviceError(
                f'device="{device}" cannot be used with use_rust_acceleration=False: GPUs are used '
                "by the Rust backend. Leave one of the two out."
            )
        return "python", "cpu"
    found = _find()
    if on_gpu and found.module is None:
        raise DeviceError(
            f'device="{device}" cannot be used: GPUs are used by the Rust backend, but '
            f'{found.reason}. {found.remedy}, or use device="cpu" or device="auto".'
        )
    if found.module is not None:
        if device == "cpu":
            return "rust", "cpu"
        number = gpu_number(device) or 0
        problem = _gpu_problem(number)
        if not problem:
            return "rust", f"cuda:{number}"
        if on_gpu:
            raise DeviceError(
                f'device="{device}" cannot be used: {problem}. Use device="cpu" or device="auto".'
            )
        return "rust", "cpu"
    if use_rust_acceleration is None:
        return "python", "cpu"
    raise RustAccelerationError(
        f"use_rust_acceleration=True, but {found.reason}. {found.remedy}, "
        "or use_rust_acceleration=False for the Python backend."
    )


def gpu_number(device: str) -> int | None:
    """Return N of ``"cuda:N"``, 0 of ``"cuda"``, None of everything else."""
    return int(device[5:] or 0) if device.startswith("cuda") else None


def _gpu_problem(number: int) -> str:
    """Say why a GPU cannot be used; nothing if it can."""
    module: Any = _find().module
    if module is None:
        return "GPUs are used by the Rust backend, which is not"
    _load_compiler()
    try:
        module.cuda_device(number)
    except DeviceError as problem:
        return str(problem)
    return ""


@functools.cache
def _load_compiler() -> None:
    """Load the compiler of NVIDIA's wheel, which the system's loader does not find by itself."""
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for name in _COMPILERS:
            with contextlib.suppress(OSError):
                ctypes.CDLL(str(Path(folder) / name), mode=ctypes.RTLD_GLOBAL)
                return


def report() -> tuple[BackendStatus, ...]:
    """Return each backend: whether it is there, whether it is used, and if not, why not."""
    found = _find()
    rust = found.module is not None
    return (
        BackendStatus("rust", rust, rust, found.version, _sentence(found.reason)),
        BackendStatus(
            "python",
            True,
            not rust,
            __version__,
            "The Rust backend gives the same results sooner." if rust else "",
        ),
        _gpu_status(),
    )


def _gpu_status() -> BackendStatus:
    problem = _gpu_problem(0)
    if problem:
        return BackendStatus("cuda", False, False, None, _sentence(problem))
    module: Any = _find().module
    return BackendStatus("cuda", True, True, module.cuda_device(0)["name"], "")


def _is_device(value: object) -> bool:
    return isinstance(value, str) and _DEVICE.fullmatch(value) is not None


def _find() -> _Found:
    # The variable is read every time, so that it also works from within a running process.
    if os.environ.get(DISABLE_VARIABLE, "").strip().lower() not in ("", "0", "false", "no", "off"):
        return _Found(
            reason=f"the environment variable {DISABLE_VARIABLE} switches the Rust backend off",
            remedy=f"Unset {DISABLE_VARIABLE}",
        )
    return _import()


# The cache holds no lock while it looks, so that no fork leaves one locked; two threads may look.
@functools.cache
def _import() -> _Found:
    try:
        module = importlib.import_module("helicopter_rs")
        version = getattr(module, "__version__", None)
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as error:
        if error.name == "helicopter_rs":
            return _Found(
                reason="the accelerator helicopter-rs is not installed",
                remedy=f"Run: {_INSTALL}",
            )
        return _broken(error)
    except BaseException as error:  # a Rust panic at import derives from BaseException
        return _broken(error)
    if not isinstance(version, str):
        return _Found(
            reason="the module helicopter_rs that Python finds is not the accelerator "
            "(it has no version)",
            remedy=f"Remove or rename it and run: {_INSTALL}",
        )
    if version != __version__:
        return _Found(
            version=version,
            reason=f"helicopter-rs {version} does not belong to helicopter {__version__} "
            "(both must have the same version)",
            remedy=f"Run: {_INSTALL}",
        )
    return _Found(module=module, version=version)


def _broken(error: BaseException) -> _Found:
    text = " ".join(str(error).split())  # one sentence is one line
    return _Found(
        reason="the accelerator helicopter-rs is installed but cannot be imported "
        f"({type(error).__name__}{': ' if text else ''}{text})",
        remedy=f"Run: {_INSTALL.replace('install', 'install --force-reinstall', 1)}",
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""
