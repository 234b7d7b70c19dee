"""Every kernel compiles by NVIDIA's own compiler, for old cards and new, without a card."""

import re
import sys
from pathlib import Path

import pytest
from cuda_driver import CompileError, Nvrtc

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import kernels

VARIANTS = [
    pytest.param(*each, id=" ".join((each[0].stem, *each[1]))) for each in kernels.variants()
]


@pytest.fixture(scope="module")
def compiler():
    path = kernels.library()
    if path is None:
        pytest.skip("NVRTC is not here: pip install nvidia-cuda-nvrtc-cu12")
    return Nvrtc(path)


@pytest.mark.parametrize(("source", "defined"), VARIANTS)
def test_kernels_compile(compiler, source, defined):
    text = source.read_text()
    names = set(
        re.findall(
            r"__global__[^;{]*?(\w+)\s*\(\s*(?:const|float|int|un|long|T|void|double|\w+\s*\*)",
            text,
        )
    )
    assert names
    ptx, _ = compiler.compile(
        text,
        "--gpu-architecture=compute_75",
        *kernels.ALWAYS[:2],
        *defined,
        name=source.name,
        kind="PTX",
    )
    assert all(f".entry {name}(" in ptx.decode() for name in names)
    for number in sorted({80, 90, compiler.architectures()[-1]}):
        cubin, log = compiler.compile(
            text, f"--gpu-architecture=sm_{number}", *kernels.ALWAYS, *defined, name=source.name
        )
        assert cubin.startswith(b"\x7fELF")
        used = kernels.resources(log)
        assert set(used) == names
        for name, of in used.items():
            print(f"sm_{number} {source.stem}.{name}: {of}")
            assert of["registers"] <= 128, (name, of)
            # a few words where registers are fewer; none on the cards that figures are for
            assert of["spilled"] <= (0 if number == 90 else 64), (number, name, of)


def test_what_a_source_leaves_open_is_compiled_in_each_way():
    for source in kernels.KERNELS.glob("*.cu"):
        open_names = set(re.findall(r"^#ifndef (\w+)", source.read_text(), re.MULTILINE))
        varied = {
            word[2:].split("=")[0] for each in kernels.DEFINED.get(source.name, []) for word in each
        }
        assert open_names <= varied, source.name


def test_errors_have_the_lines_of_the_source(compiler):
    with pytest.raises(
        CompileError, match=r"mine\.cu\(2\): error: identifier .missing. is undefined"
    ):
        compiler.compile(
            'extern "C" __global__ void f(float* a) {\n    a[0] = missing;\n}', name="mine.cu"
        )
