"""The CUDA driver and NVRTC by ctypes: a card's own or the emulated ones, whichever was loaded."""

import ctypes
import os
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
#: Where `make emulator` puts the emulated libraries, if nothing else is said.
FOLDER = Path(os.environ.get("HELICOPTER_CUDA_EMULATOR", ROOT / "helicopter-rs/target/emulator"))


class CudaError(Exception):
    """A call of the driver's that did not succeed."""

    def __init__(self, call, code):
        super().__init__(f"{call}: error {code}")
        self.code = code


class CompileError(Exception):
    """A source that did not compile; the text is the compiler's."""


class Nvrtc:
    """A library of NVRTC's."""

    def __init__(self, path):
        self.library = ctypes.CDLL(str(path))

    def version(self):
        major, minor = ctypes.c_int(), ctypes.c_int()
        self.library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        return major.value, minor.value

    def architectures(self):
        count = ctypes.c_int()
        self.library.nvrtcGetNumSupportedArchs(ctypes.byref(count))
        every = (ctypes.c_int * count.value)()
        self.library.nvrtcGetSupportedArchs(every)
        return sorted(every)

    def compile(self, source, *options, name="kernel.cu", kind="CUBIN"):
        """The compiled code and the log."""
        library, program = self.library, ctypes.c_void_p()
        code = library.nvrtcCreateProgram(
            ctypes.byref(program), source.encode(), name.encode(), 0, None, None
        )
        if code:
            raise CudaError("nvrtcCreateProgram", code)
        try:
            words = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
            code = library.nvrtcCompileProgram(program, len(options), words)
            log = self._get(program, "ProgramLog").rstrip(b"\0").decode()
            if code:
                raise CompileError(log)
            return self._get(program, kind), log
        finally:
            library.nvrtcDestroyProgram(ctypes.byref(program))

    def _get(self, program, what):
        size = ctypes.c_size_t()
        if code := getattr(self.library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)):
            raise CudaError(f"nvrtcGet{what}Size", code)
        text = ctypes.create_string_buffer(size.value)
        getattr(self.library, f"nvrtcGet{what}")(program, text)
        return text.raw


class Driver:
    """A library of the driver's, with a context of its own."""

    def __init__(self, path=FOLDER / "libcuda.so"):
        self.library = ctypes.CDLL(str(path))
        self.given = []
        self("cuInit", 0)
        context = ctypes.c_void_p()
        self("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
        self("cuCtxSetCurrent", context)

    def __call__(self, name, *arguments):
        code = getattr(self.library, name)(*arguments)
        if code:
            raise CudaError(name, code)

    def close(self):
        self("cuDevicePrimaryCtxRelease_v2", 0)

    def stream(self, flags=1):
        handle = ctypes.c_void_p()
        self("cuStreamCreate", ctypes.byref(handle), flags)
        return handle

    def empty(self, size, stream=None):
        at = ctypes.c_uint64()
        self("cuMemAllocAsync", ctypes.byref(at), ctypes.c_size_t(size), stream)
        self.given.append(at)
        return at

    def upload(self, array, stream=None):
        array = np.ascontiguousarray(array)
        at = self.empty(array.nbytes, stream)
        self("cuMemcpyHtoDAsync_v2", at, array.ctypes, ctypes.c_size_t(array.nbytes), stream)
        return at

    def download(self, at, shape, dtype, stream=None):
        array = np.zeros(shape, dtype)
        self("cuMemcpyDtoHAsync_v2", array.ctypes, at, ctypes.c_size_t(array.nbytes), stream)
        self("cuStreamSynchronize", stream)
        return array

    def free(self, *pointers, stream=None):
        for at in pointers:
            self("cuMemFreeAsync", at, stream)
            self.given.remove(at)

    def module(self, image):
        handle = ctypes.c_void_p()
        self("cuModuleLoadData", ctypes.byref(handle), image)
        return handle

    def function(self, module, name):
        handle = ctypes.c_void_p()
        self("cuModuleGetFunction", ctypes.byref(handle), module, name.encode())
        return handle

    def launch(self, function, grid, block, *arguments, shared=0, stream=None):
        pointers = (ctypes.c_void_p * len(arguments))(
            *(ctypes.cast(ctypes.byref(argument), ctypes.c_void_p) for argument in arguments)
        )
        grid, block = (tuple(each) + (1,) * (3 - len(each)) for each in (grid, block))
        self("cuLaunchKernel", function, *grid, *block, shared, stream, pointers, None)

    # -- what only the emulator has --

    def problems(self):
        """What the emulator complained about since this was last asked."""
        text = ctypes.create_string_buffer(100_000)
        self.library.emulatorProblems.restype = ctypes.c_size_t
        self.library.emulatorProblems(text, ctypes.c_size_t(len(text)), 1)
        return text.value.decode().splitlines()

    def fault(self, text):
        self.library.emulatorFault(text.encode())

    def reset(self):
        self.library.emulatorReset()

    def counts(self):
        """Count allocations that live, their bytes and highest, and all that was done so far."""
        numbers = (ctypes.c_uint64 * 6)()
        self.library.emulatorCounts(numbers)
        names = ("live", "bytes", "peak", "launches", "allocations", "modules")
        return dict(zip(names, numbers, strict=True))
