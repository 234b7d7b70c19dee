"""The command as a user types it: what each command does, and what it refuses."""

import json
import subprocess
import sys

import numpy as np
import pytest
from command import BACKENDS, RUST, SMALL, done, environment, helicopter, process, refused
from networks import write

from helicopter._version import __version__
from helicopter.cli._reconstruct import ReconstructOptions, reconstruct
from helicopter.core import RegionalReconstructionEngine
from helicopter.errors import InvalidOptionError
from helicopter.io import read_image, sample_image, write_image

# ---- analyze


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("backend", BACKENDS)
def test_analyze_writes_a_folder_for_each_image(tmp_path, photo, backend):
    out = tmp_path / "out"
    text = done("analyze", photo, "-o", out, "--patch-size", 16, "--backend", backend)
    assert "photo.png" in text
    assert backend in text
    assert text.splitlines()[-1] == str(out / "photo" / "report.html")
    names = {path.name for path in (out / "photo").iterdir()}
    assert names == {
        "report.html", "figures.json", "reconstruction.png", "original.png", "what-was-shown.png",
        "uncertainty.png", "error.png", "quality.png", "overview.png", "noise.png",
        "segments.png", "anomalies.png", "verification.png",
    }  # fmt: skip
    figures = json.loads((out / "photo" / "figures.json").read_text(encoding="utf-8"))
    found = figures["analysis"]["autonomous"]
    assert found["backend"] == backend
    assert figures["options"]["patch_size"] == 16
    assert figures["options"]["seed"] == 0
    assert 0 < found["reconstruction_quality"] <= 1
    assert len(found["history"]) == found["iterations"]
    assert figures["analysis"]["noise"]["backend"] == backend
    assert figures["analysis"]["noise"]["sigma"] > 0
    assert figures["analysis"]["verification"]["backend"] == backend
    assert figures["analysis"]["segments"]["backend"] == backend
    assert figures["analysis"]["anomalies"]["backend"] == backend
    page = (out / "photo" / "report.html").read_text(encoding="utf-8")
    for section in ("advice", "anomalies", "parts", "noise", "evidence"):
        assert f'<h2 id="{section}">' in page


@pytest.mark.usefixtures("undrawn")
def test_analyze_can_leave_parts_and_anomalies_out(tmp_path, photo):
    quick = ("--patch-size", 16, "--max-iterations", 1)
    done("analyze", photo, "-o", tmp_path, *quick, "--segments", "none", "--no-anomalies")
    figures = json.loads((tmp_path / "photo" / "figures.json").read_text(encoding="utf-8"))
    assert figures["analysis"]["segments"] is figures["analysis"]["anomalies"] is None
    page = (tmp_path / "photo" / "report.html").read_text(encoding="utf-8")
    for section in ("anomalies", "parts"):
        assert f'<h2 id="{section}">' not in page
    done("analyze", photo, "-o", tmp_path, *quick, "--segments", 7, "--level", 0.01, "--no-report")
    figures = json.loads((tmp_path / "photo" / "figures.json").read_text(encoding="utf-8"))
    assert len(figures["analysis"]["segments"]["segments"]) == 7
    assert figures["analysis"]["anomalies"]["level"] == 0.01


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--segments", "some"), "segments: got 'some'; expected a whole number, auto or none"),
        (("--segments", 0), "segments: got 0; expected a whole number"),
        (("--level", 1), "level: got 1.0; expected a number between 0 and 1"),
    ],
)
def test_analyze_refuses_bad_parts_and_levels(tmp_path, photo, options, words):
    result = helicopter("analyze", photo, "-o", tmp_path / "o", *options)
    assert result.returncode == 2
    assert words in " ".join(result.stderr.split())
    assert not (tmp_path / "o").exists()


def test_analyze_the_sample(tmp_path):
    text = done("analyze", "--sample", "--no-report", "--max-iterations", 1, cwd=tmp_path)
    assert "coffee.png" in text
    assert (tmp_path / "helicopter-report" / "coffee" / "figures.json").exists()


@pytest.mark.parametrize("backend", BACKENDS)
def test_json_is_all_there_is_on_stdout(tmp_path, photo, backend):
    text = done(
        "analyze", photo, "-o", tmp_path / "o", "--json", "--backend", backend, "--seed", 5, *SMALL
    )
    data = json.loads(text)
    assert data["version"] == __version__
    assert data["errors"] == []
    (entry,) = data["images"]
    assert entry["image"] == str(photo)
    assert entry["options"]["seed"] == 5
    assert entry["analysis"]["autonomous"]["backend"] == backend
    assert set(entry["files"]) == {"figures", "reconstruction"}


def test_options_reach_the_engine(tmp_path, photo):
    def run(*options):
        data = json.loads(
            done("analyze", photo, "-o", tmp_path / "o", "--json", "--no-report", *options)
        )
        return data["images"][0]["analysis"]["autonomous"]

    found = run(
        "--patch-size", 8, "--strategy", "random", "--algorithm", "biharmonic",
        "--max-iterations", 2, "--target-quality", 1,
    )  # fmt: skip
    assert found["patch_size"] == 8
    assert found["strategy"] == "random"
    assert found["algorithm"] == "biharmonic"
    assert found["iterations"] == 2
    assert found["stop_reason"] == "max_iterations"
    few, many = (
        run("--patch-size", 8, "--initial-known", share, "--target-quality", 1)
        for share in (0.1, 0.8)
    )
    first, second = (sum(len(step["patches"]) for step in r["history"]) for r in (few, many))
    assert first > 3 * second
    assert run("--patch-size", 8, "--seed", 1)["mae"] != run("--patch-size", 8, "--seed", 2)["mae"]


def test_one_bad_image_does_not_stop_the_others(tmp_path, photo):
    (tmp_path / "broken.png").write_bytes(photo.read_bytes()[:500])
    missing, out = tmp_path / "missing.png", tmp_path / "o"
    result = helicopter("analyze", missing, tmp_path / "broken.png", photo, "-o", out, *SMALL)
    assert result.returncode == 1
    assert (out / "photo" / "figures.json").exists()
    first, second = result.stderr.splitlines()
    assert "missing.png" in first
    assert "no such file" in first
    assert "broken.png" in second
    assert "damaged" in second
    assert "photo.png" in result.stdout
    result = helicopter("analyze", missing, photo, "-o", out, "--json", *SMALL)
    assert result.returncode == 1
    data = json.loads(result.stdout)
    assert [entry["image"] for entry in data["images"]] == [str(photo)]
    assert data["errors"][0]["image"] == str(missing)


def test_images_of_one_name_get_folders_of_their_own(tmp_path):
    pictures = []
    for folder, value in (("a", 30), ("b", 200)):
        (tmp_path / folder).mkdir()
        pictures.append(tmp_path / folder / "x.png")
        write_image(pictures[-1], sample_image()[value : value + 32, :48])
    out = tmp_path / "out"
    done("analyze", *pictures, "-o", out, "--patch-size", 8, "--no-report")
    assert {path.name for path in out.iterdir()} == {"x", "x-2"}
    for picture, folder in zip(pictures, ("x", "x-2"), strict=True):
        data = json.loads((out / folder / "figures.json").read_text(encoding="utf-8"))
        assert data["image"] == str(picture)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    "name", ["<script>alert(1)<x>.png", "a b'\"&.png", "-x.png", "\x1b[31m.png"]
)
def test_odd_file_names_are_harmless(tmp_path, photo, name):
    odd = photo.rename(tmp_path / name)
    out = tmp_path / "out"
    text = done("analyze", "-o", out, "--patch-size", 16, "--", odd)
    (folder,) = out.iterdir()
    assert text.splitlines()[-1] == str(folder / "report.html")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "[31m" not in text.replace("\\x1b[31m", "")


@pytest.mark.parametrize(
    ("name", "dtype", "suffix"),
    [
        ("a.png", "uint16", ".png"),
        ("a.tif", "uint16", ".tif"),
        ("a.tif", "float32", ".tif"),
        ("a.jpg", "uint8", ".png"),
        ("a.webp", "uint8", ".webp"),
    ],
)
def test_the_reconstruction_keeps_the_dtype(tmp_path, name, dtype, suffix):
    image = sample_image()[:64, :80].astype(dtype)
    image = image * np.uint16(257) if dtype == "uint16" else image
    image = image / np.float32(255) if dtype == "float32" else image
    write_image(tmp_path / name, image)
    done("analyze", tmp_path / name, "-o", tmp_path / "o", *SMALL)
    redrawn = read_image(tmp_path / "o" / "a" / f"reconstruction{suffix}").pixels
    assert redrawn.dtype == dtype
    assert redrawn.shape == image.shape
    given = read_image(tmp_path / name).pixels
    same = (redrawn == given).all(axis=2)
    assert same.mean() > 0.15  # what was shown is untouched
    assert not same.all()


def test_a_mask_of_missing_pixels(tmp_path, photo, mask):
    text = done("analyze", photo, "--mask", mask, "-o", tmp_path / "o", "--json", *SMALL)
    assert json.loads(text)["images"][0]["analysis"]["autonomous"]["mae"] > 0
    write_image(tmp_path / "other.png", np.zeros((5, 5), np.uint8))
    line = refused(
        1, "analyze", photo, "--mask", tmp_path / "other.png", "-o", tmp_path / "p", *SMALL
    )
    assert "photo.png" in line
    assert "mask" in line


def test_a_bomb_is_refused_and_the_remedy_works(tmp_path, photo):
    line = refused(1, "analyze", photo, "-o", tmp_path / "o", "--max-pixels", 1000, *SMALL)
    for part in ("photo.png", "128 x 96 = 12,288 pixels", "limit of 1,000", "--max-pixels"):
        assert part in line
    done("analyze", photo, "-o", tmp_path / "o", "--max-pixels", 12288, *SMALL)


# ---- bad usage and failures


def test_bad_usage_is_exit_code_2(tmp_path, photo):
    out = tmp_path / "o"
    for arguments, text in (
        (["analyze", photo, "-o", out, "--patch-size", "0"], "patch_size"),
        (["analyze", photo, "-o", out, "--target-quality", "7"], "target_quality"),
        (["analyze", photo, "-o", out, "--algorithm", "magic"], "magic"),
        (["analyze", photo, "-o", out, "--strategy", "luck"], "luck"),
        (["analyze", photo, "-o", photo], "cannot make the folder"),
        (["info", "--device", "gpu"], "device"),
        (["bench", "--size", "3"], "--size"),
    ):
        assert text in refused(2, *arguments)
    for arguments in (
        ["analyze"],
        ["analyze", photo, "--no-such-option"],
        ["analyze", photo, "--patch-size", "many"],
        ["analyze", photo, "--backend", "fortran"],
        ["reconstruct", photo],
        ["no-such-command"],
        ["info", "--threads", "0"],
    ):
        result = helicopter(*arguments)
        assert result.returncode == 2, arguments
        assert result.stdout == ""
        assert "Traceback" not in result.stderr
    assert not any(path.name == "figures.json" for path in tmp_path.rglob("*"))


def test_what_cannot_be_had_is_exit_code_1():
    assert "CUDA" in refused(1, "info", "--device", "cuda")
    line = refused(1, "info", "--backend", "rust", HELICOPTER_DISABLE_RUST="1")
    assert "HELICOPTER_DISABLE_RUST" in line


def test_debugging_shows_the_traceback(tmp_path, photo, mask):
    arguments = ["reconstruct", tmp_path / "gone.png", "--mask", mask, "-o", tmp_path / "o.png"]
    assert "gone.png" in refused(1, *arguments)
    result = process(*arguments, HELICOPTER_DEBUG="1")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "InvalidImageError" in result.stderr


# ---- reconstruct


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("algorithm", ["harmonic", "biharmonic"])
def test_reconstruct_redraws_only_what_is_masked(tmp_path, photo, mask, backend, algorithm):
    out, sigma = tmp_path / "o.png", tmp_path / "s.tif"
    text = done(
        "reconstruct", photo, "--mask", mask, "-o", out, "--algorithm", algorithm,
        "--uncertainty", sigma, "--backend", backend,
    )  # fmt: skip
    assert str(out) in text
    assert f"8.1 % redrawn by {algorithm}" in text
    given, redrawn = read_image(photo).pixels, read_image(out).pixels
    hidden = read_image(mask).pixels > 0
    np.testing.assert_array_equal(redrawn[~hidden], given[~hidden])
    assert (redrawn[hidden] != given[hidden]).mean() > 0.5
    uncertainty = read_image(sigma).pixels
    assert uncertainty.dtype == np.float32
    assert (uncertainty[hidden] > 0).all()
    assert (uncertainty[~hidden] == 0).all()


def test_hidden_pixels_are_not_looked_at(tmp_path, photo, mask):
    done("reconstruct", photo, "--mask", mask, "-o", tmp_path / "a.png")
    pixels = read_image(photo).pixels.copy()
    pixels[read_image(mask).pixels > 0] = 255
    write_image(tmp_path / "changed.png", pixels)
    done("reconstruct", tmp_path / "changed.png", "--mask", mask, "-o", tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_reconstruct_in_sixteen_bits_and_as_json(tmp_path, mask):
    image = sample_image()[100:196, 200:328].astype(np.uint16) * np.uint16(257) - np.uint16(1)
    write_image(tmp_path / "a.png", image)
    text = done(
        "reconstruct", tmp_path / "a.png", "--mask", mask, "-o", tmp_path / "o.tif", "--json",
        "--uncertainty", tmp_path / "s.png",
    )  # fmt: skip
    data = json.loads(text)
    assert data["output"] == str(tmp_path / "o.tif")
    assert data["hidden_fraction"] == pytest.approx(1000 / (96 * 128))
    assert data["reconstruction"] == {"shape": [96, 128, 3], "dtype": "uint16"}
    redrawn = read_image(tmp_path / "o.tif").pixels
    hidden = read_image(mask).pixels > 0
    np.testing.assert_array_equal(redrawn[~hidden], image[~hidden])
    assert read_image(tmp_path / "s.png").pixels.shape[0] > 300  # a picture with its colour bar


def test_what_cannot_be_written_is_said_before_anything_is(tmp_path, photo, mask):
    deep = tmp_path / "deep.png"
    write_image(deep, np.zeros((96, 128, 3), np.uint16))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for image, options, text in (
        (deep, ["-o", tmp_path / "o.jpg"], "JPEG does not hold uint16"),
        (photo, ["-o", tmp_path / "o.gif"], "suffix"),
        (photo, ["-o", photo], "one of the inputs"),
        (photo, ["-o", mask], "one of the inputs"),
        (photo, ["-o", tmp_path / "no" / "o.png"], "does not exist"),
        (photo, ["-o", tmp_path / "o.png", "--uncertainty", tmp_path / "s.jpg"], "--uncertainty"),
        (photo, ["-o", tmp_path / "o.png", "--uncertainty", tmp_path / "no" / "s.tif"], "exist"),
        (photo, ["-o", tmp_path / "o.png", "--uncertainty", tmp_path / "o.png"], "same file"),
    ):
        assert text in refused(2, "reconstruct", image, "--mask", mask, *options)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_unwritable_result_is_not_computed(tmp_path, photo, mask, monkeypatch):
    def computed(*_args, **_options):
        raise AssertionError("computed for nothing")

    monkeypatch.setattr(RegionalReconstructionEngine, "reconstruct", computed)
    with pytest.raises(InvalidOptionError, match="suffix"):
        reconstruct(ReconstructOptions(photo, tmp_path / "o.gif", mask, algorithm="harmonic"))


# ---- weights of one's own


def test_own_weights_are_used_and_named(tmp_path, photo, mask):
    own = write(tmp_path / "own.safetensors")
    shipped, other = tmp_path / "shipped.png", tmp_path / "other.png"
    done("reconstruct", photo, "--mask", mask, "-o", shipped)
    done("reconstruct", photo, "--mask", mask, "-o", other, "--weights", own)
    assert (read_image(shipped).pixels != read_image(other).pixels).any()
    text = done("analyze", photo, "-o", tmp_path / "o", "--json", "--weights", own, *SMALL)
    (entry,) = json.loads(text)["images"]
    assert entry["options"]["weights"] == str(own)
    assert entry["options"]["algorithm"] == "network"


def test_weights_that_cannot_be_used(tmp_path, photo, mask):
    call = ["reconstruct", photo, "--mask", mask, "-o", tmp_path / "o.png", "--weights"]
    assert "cannot be read: No such file" in refused(1, *call, tmp_path / "none.safetensors")
    assert "no safetensors file" in refused(1, *call, photo)
    own = write(tmp_path / "own.png")
    assert "only 'network' has weights" in refused(2, *call, own, "--algorithm", "harmonic")
    before = own.read_bytes()
    call[call.index("-o") + 1] = own
    assert "one of the inputs" in refused(2, *call, own)
    assert own.read_bytes() == before
    assert not (tmp_path / "o.png").exists()


# ---- info, bench, help


def test_info_says_why_not(tmp_path):
    text = done("info", HELICOPTER_DISABLE_RUST="1")
    for part in (
        __version__,
        "CPython",
        "python",
        "network, harmonic, biharmonic, exemplar",
        "cuda",
    ):
        assert part in text
    assert "HELICOPTER_DISABLE_RUST" in " ".join(text.split())
    data = json.loads(done("info", "--json", "--threads", 3, HELICOPTER_DISABLE_RUST="1"))
    assert data["backend"] == "python"
    assert data["device"] == "cpu"
    assert data["threads"] == 3
    assert {"harmonic", "biharmonic"} <= set(data["algorithms"])
    used = {status["name"]: status["used"] for status in data["backends"]}
    assert used == {"rust": False, "python": True, "cuda": False}
    assert all(status["used"] or status["reason"].endswith(".") for status in data["backends"])


def test_info_shows_the_backend_that_was_asked_for():
    data = json.loads(done("info", "--json", "--backend", "python"))
    assert data["backend"] == "python"
    assert [s["name"] for s in data["backends"] if s["used"]] == ["python"]


def test_bench_measures_and_is_honest_without_rust():
    result = helicopter(
        "bench", "--size", 64, "--repeats", 1, "--json", HELICOPTER_DISABLE_RUST="1"
    )
    assert result.returncode == 0
    assert result.stderr == ""
    data = json.loads(result.stdout)
    assert "Rust was not measured" in data["note"]
    jobs = [timing["job"] for timing in data["timings"]]
    assert jobs == [
        "autonomous", "regional, network", "regional, harmonic", "regional, biharmonic",
        "segment-aware", "noise", "MDP, models", "MDP, evidence",
    ]  # fmt: skip
    for timing in data["timings"]:
        assert timing["python_seconds"] > 0
        assert timing["rust_seconds"] is None
        assert timing["ratio"] is None
    result = helicopter("bench", "--size", 64, "--repeats", 1, HELICOPTER_DISABLE_RUST="1")
    assert "Rust was not measured" in result.stderr
    assert "64 x 64" in result.stdout
    assert "512 states" in result.stdout
    assert "16 looks" in result.stdout


@pytest.mark.skipif(not RUST, reason="helicopter-rs is not here")
def test_bench_compares_the_two():
    data = json.loads(done("bench", "--size", 96, "--repeats", 2, "--json", run=process))
    assert data["note"] == ""
    assert data["threads"] == 1
    for timing in data["timings"]:
        assert timing["rust_seconds"] > 0
        assert timing["ratio"] > 0
        assert timing["largest_difference"] <= (1e-6 if "MDP" in timing["job"] else 1)


def test_version_and_help_are_quick_and_good():
    assert done("--version", run=process).strip() == f"helicopter {__version__}"
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "helicopter", "--help"],
        capture_output=True, text=True, check=True, env=environment(),
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "typer" in imported
    assert imported & {"numpy", "scipy", "matplotlib", "PIL", "tifffile", "jinja2"} == set()
    for command in ("analyze", "reconstruct", "noise", "anomalies", "verify", "info", "bench"):
        assert command in result.stdout
        text = done(command, "--help")
        assert f"helicopter {command}" in text  # an example
        for option in ("--json", "--backend", "--device", "--threads", "--seed"):
            assert option in text
