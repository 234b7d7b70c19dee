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
    name, old = source.name, "--gpu-architecture=compute_75"
    ptx, _ = compiler.compile(text, old, "--std=c++17", *defined, name=name, kind="PTX")
    names = set(re.findall(r"\.entry (\w+)\(", ptx.decode()))
    assert names
    for number in sorted({80, 90, compiler.architectures()[-1]}):
        cubin, log = compiler.compile(
            text, f"--gpu-architecture=sm_{number}", *kernels.ALWAYS, *defined, name=source.name
        )
        assert cubin.startswith(b"\x7fELF")
        used = kernels.resources(log)
        assert set(used) == names
        for name, of in used.items():
            print(f"sm_{number} {source.stem}.{name}: {of}")
            assert of["registers"] <= (136 if number == 90 else 168), (number, name, of)
            # a few words where the cap on registers is tighter, none on Hopper
            assert of["spilled"] <= (0 if number == 90 else 64), (number, name, of)


def test_options_are_those_of_the_crate():
    """Each file that the crate names, and each name that it defines."""
    crate = kernels.ROOT / "helicopter-rs/src"
    text = "\n".join(path.read_text() for path in crate.rglob("*.rs"))
    assert set(re.findall(r'source!\("(\w+\.cu)"\)', text)) == set(kernels.OPTIONS)
    defined = re.findall(r"-D(\w+)=", str(kernels.OPTIONS))
    assert set(re.findall(r'"-D(\w+)=', text)) == set(defined)


def test_errors_have_the_lines_of_the_source(compiler):
    with pytest.raises(
        CompileError, match=r"mine\.cu\(2\): error: identifier .missing. is undefined"
    ):
        compiler.compile(
            'extern "C" __global__ void f(float* a) {\n    a[0] = missing;\n}', name="mine.cu"
        )
