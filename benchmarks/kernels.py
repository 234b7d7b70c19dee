"""Compile every CUDA kernel by NVRTC, and print what each takes: registers, spills, shared memory.

    python benchmarks/kernels.py [ARCHITECTURE ...]     # sm_90, if none is named; "all" for each

No card is needed, only the package `nvidia-cuda-nvrtc-cu12` (or `nvidia-cuda-nvrtc`). The last
column is how many of a multiprocessor's threads that leaves room for, of 2048.
"""

import argparse
import importlib.util
import itertools
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
KERNELS = ROOT / "helicopter-rs/src/kernels"
sys.path.insert(0, str(ROOT / "tests"))

from cuda_driver import Nvrtc  # noqa: E402

#: The options that the crate compiles a file with, one way after the other.
EXACT = ("--fmad=false",)
OPTIONS = {
    "border.cu": [()],
    "exemplar.cu": [EXACT],
    "network.cu": [(), *((f"-DOUTPUTS={outputs}",) for outputs in (2, 4, 8))],
    "noise.cu": [EXACT],
    "pde.cu": [("-DBIHARMONIC=0",), ("-DBIHARMONIC=1",)],
    "reconstruction.cu": [EXACT],
    "smoke.cu": [("-DFACTOR=3",)],
    "tables.cu": [EXACT],
}
ALWAYS = ("--std=c++17", "--ptxas-options=-v")
#: The threads of a block, as `__launch_bounds__` has them.
BOUNDS = re.compile(r"__launch_bounds__\(\s*(\w+)[^)]*\)\s*(?:void\s+)?(\w+)\s*\(")


def library():
    """The path of NVRTC in the wheel, or None."""
    for package, pattern in (
        ("nvidia.cuda_nvrtc", "libnvrtc.so.*"),
        ("nvidia.cu13", "libnvrtc.so.*"),
    ):
        try:
            found = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            continue
        for folder in (found.submodule_search_locations if found else None) or []:
            for path in itertools.chain(
                Path(folder).glob(f"lib/{pattern}"), Path(folder).glob("bin/nvrtc64*")
            ):
                if ".alt" not in path.name:
                    return path
    return None


def variants():
    """Each source with each set of options that it is compiled with."""
    for path in sorted(KERNELS.glob("*.cu")):
        for options in OPTIONS[path.name]:
            yield path, options


def resources(log):
    """What ptxas says of each kernel: a dictionary of figures by name."""
    found, name, spilled = {}, None, (0, 0, 0)
    for line in log.splitlines():
        if match := re.search(r"Compiling entry function '(\w+)'", line):
            name = match[1]
        elif match := re.search(
            r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill", line
        ):
            spilled = tuple(map(int, match.groups()))
        elif name and (match := re.search(r"Used (\d+) registers", line)):
            shared = re.search(r"(\d+) bytes smem", line)
            found[name] = {
                "registers": int(match[1]),
                "stack": spilled[0],
                "spilled": spilled[1] + spilled[2],
                "shared": int(shared[1]) if shared else 0,
            }
    return found


def occupancy(threads, registers, shared):
    """How many threads a multiprocessor of compute capability 9.0 has room for."""
    warps = -(-threads // 32)
    per_warp = -(-registers * 32 // 256) * 256
    blocks = min(
        64 // warps,
        65536 // per_warp // warps,
        233472 // (shared + 1024),
        32,
    )
    return blocks * warps * 32


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("architectures", nargs="*", default=["sm_90"])
    chosen = parser.parse_args().architectures
    path = library()
    if path is None:
        sys.exit("NVRTC was not found: pip install nvidia-cuda-nvrtc-cu12")
    nvrtc = Nvrtc(path)
    if chosen == ["all"]:
        chosen = [f"sm_{number}" for number in nvrtc.architectures()]
    print("NVRTC {}.{}".format(*nvrtc.version()))
    print(
        f"{'kernel':44}{'architecture':>13}{'registers':>10}{'spilled':>8}{'stack':>6}{'shared':>7}{'threads':>8}"
    )
    for source, options in variants():
        text = source.read_text()
        blocks = {name: threads for threads, name in BOUNDS.findall(text)}
        for architecture in chosen:
            _, log = nvrtc.compile(
                text, f"--gpu-architecture={architecture}", *ALWAYS, *options, name=source.name
            )
            for name, of in resources(log).items():
                threads = int(blocks[name]) if blocks.get(name, "").isdigit() else 256
                label = " ".join(
                    (
                        f"{source.stem}.{name}",
                        *(word[2:] for word in options if word.startswith("-D")),
                    )
                )
                room = occupancy(threads, of["registers"], of["shared"])
                print(
                    f"{label:44}{architecture:>13}{of['registers']:>10}{of['spilled']:>8}"
                    f"{of['stack']:>6}{of['shared']:>7}{room:>8}"
                )


if __name__ == "__main__":
    main()
