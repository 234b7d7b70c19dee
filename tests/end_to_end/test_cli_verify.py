"""``helicopter verify``: its verdicts, its JSON, its report, and what it refuses."""

import json

import numpy as np
import pytest
from command import BACKENDS, done, helicopter, refused

from helicopter._version import __version__
from helicopter.cli._verify import VerifyOptions, verify
from helicopter.core import AutonomousReconstructionEngine, HatataMDPEngine
from helicopter.io import read_image, write_image

QUICK = ("--patch-size", 8, "--algorithm", "harmonic")


@pytest.fixture
def smooth(tmp_path):
    """All of it follows from any fifth of it."""
    path = tmp_path / "smooth.png"
    rows, columns = np.mgrid[:96, :128]
    write_image(path, (rows + columns).astype(np.uint8))
    return path


@pytest.fixture
def chaos(tmp_path):
    """None of it follows from anything."""
    path = tmp_path / "chaos.png"
    pixels = np.random.default_rng(0).integers(0, 2, (96, 128), dtype=np.uint8)
    write_image(path, pixels * np.uint8(255))
    return path


def entries(*arguments):
    return json.loads(done("verify", *arguments, "--json"))["images"]


def one_line(text):
    return " ".join(text.split())


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_predictable_is_accepted_and_noise_is_not(smooth, chaos, backend):
    text = one_line(done("verify", smooth, chaos, *QUICK, "--backend", backend))
    good, bad = text[: text.index("chaos.png")], text[text.index("chaos.png") :]
    for part in (
        "smooth.png", "Accepted: with a probability of", "at least 80 % of the patches",
        "a quality of 0.8 or more", "The share of such patches is", "with a probability of 95 %",
        "looks of 154 possible ones were used", "Next: nothing",
    ):  # fmt: skip
        assert part in good, part
    for part in ("Rejected: with a probability of", "fewer than 80 %", "predicted badly"):
        assert part in bad, part


@pytest.mark.parametrize("backend", BACKENDS)
def test_json_is_all_there_is_on_stdout(smooth, backend):
    text = done("verify", smooth, *QUICK, "--json", "--backend", backend, "--seed", 5)
    data = json.loads(text)
    assert data["version"] == __version__
    assert data["errors"] == []
    (entry,) = data["images"]
    assert entry["image"] == str(smooth)
    assert entry["shape"] == [96, 128]
    assert entry["files"] == {}
    assert entry["options"]["seed"] == 5
    assert entry["options"]["threshold"] == 0.8
    assert entry["possible_looks"] == 154
    assert entry["verdict"][0].startswith("Accepted")
    found = entry["verification"]
    assert found["backend"] == entry["autonomous"]["backend"] == backend
    assert found["decision"] == "accept"
    assert found["understanding_probability"] > 0.9
    assert len(found["trajectory"]) == found["evidence_used"] < 154
    assert entry["autonomous"]["stop_reason"] == "evidence_sufficient"


def test_no_more_patches_are_predicted_than_it_takes(smooth):
    (entry,) = entries(smooth, *QUICK, "--cost-of-look", 0.01)
    found = entry["verification"]
    predicted = sum(len(step["patches"]) for step in entry["autonomous"]["history"])
    assert found["evidence_used"] <= predicted < 60
    assert entry["autonomous"]["completion"] == pytest.approx(predicted / 154)


def test_it_is_the_engines_own_verdict(smooth, chaos):
    for path in (smooth, chaos):
        (entry,) = entries(path, *QUICK, "--seed", 3)
        engine = AutonomousReconstructionEngine(8, algorithm="harmonic", seed=3, stop="hatata")
        expected = engine.autonomous_analyze(read_image(path).pixels).verification.to_dict()
        for fields in (entry["verification"], expected):
            del fields["seconds"]
        assert entry["verification"] == expected


def test_options_reach_the_verifier(smooth):
    (entry,) = entries(
        smooth, *QUICK, "--threshold", 1, "--required-share", 0.6, "--cost-of-look", 0.002,
        "--cost-of-false-accept", 3, "--cost-of-false-reject", 2, "--max-looks", 20,
    )  # fmt: skip
    found = entry["verification"]
    assert found["threshold"] == 1
    assert found["required_share"] == 0.6
    assert found["costs"] == [0.002, 3, 2]
    assert found["evidence_used"] <= 20
    assert found["decision"] == "reject"
    few, more = (
        entries(smooth, *QUICK, "--cost-of-look", cost)[0]["verification"]["evidence_used"]
        for cost in (0.05, 0.0001)
    )
    assert few < more


def test_more_looks_would_be_worth_their_cost(smooth):
    (entry,) = entries(smooth, "--algorithm", "harmonic", "--cost-of-look", 1e-9)
    assert entry["verification"]["decision"] == "continue"
    assert entry["verdict"][0].startswith("Not enough evidence")
    assert entry["verdict"][2].startswith(f"All {entry['possible_looks']} looks were used")
    assert "Smaller patches give more of them" in entry["verdict"][3]


@pytest.mark.usefixtures("undrawn")
def test_a_report_if_asked(tmp_path, smooth, chaos):
    out = tmp_path / "out"
    text = done("verify", smooth, chaos, *QUICK, "-o", out)
    assert {path.name for path in out.iterdir()} == {"smooth", "chaos"}
    for name, words in (("smooth", "Accepted: with"), ("chaos", "Rejected: with")):
        page = out / name / "report.html"
        assert str(page) in text
        html = page.read_text(encoding="utf-8")
        assert '<h2 id="evidence">Is the evidence enough?</h2>' in html
        assert words in html
        assert '<h2 id="noise">' not in html
        assert "the patches seen were evidence enough" in html
        names = {path.name for path in (out / name).iterdir()}
        assert {"figures.json", "verification.png", "overview.png"} <= names
        assert "noise.png" not in names
        figures = json.loads((out / name / "figures.json").read_text(encoding="utf-8"))
        assert figures["version"] == __version__
        assert figures["verification"]["trajectory"]
        assert figures["files"]["report"] == str(page)


@pytest.mark.usefixtures("undrawn")
def test_what_an_analysis_left_there_goes(tmp_path, smooth):
    out = tmp_path / "out"
    done("analyze", smooth, *QUICK, "-o", out)
    assert (out / "smooth" / "noise.png").exists()
    done("verify", smooth, *QUICK, "-o", out)
    for name in ("noise.png", "reconstruction.png"):
        assert not (out / "smooth" / name).exists()


def test_one_bad_image_does_not_stop_the_others(tmp_path, smooth):
    result = helicopter("verify", tmp_path / "gone.png", smooth, *QUICK)
    assert result.returncode == 1
    assert "Accepted" in result.stdout
    (line,) = result.stderr.splitlines()
    assert "gone.png" in line
    assert "no such file" in line
    result = helicopter("verify", tmp_path / "gone.png", smooth, *QUICK, "--json")
    assert result.returncode == 1
    data = json.loads(result.stdout)
    assert [entry["image"] for entry in data["images"]] == [str(smooth)]
    assert data["errors"][0]["image"] == str(tmp_path / "gone.png")


def test_a_mask_of_missing_pixels(tmp_path, smooth):
    hidden = np.zeros((96, 128), np.uint8)
    hidden[:, 64:] = 255
    write_image(tmp_path / "mask.png", hidden)
    (entry,) = entries(smooth, *QUICK, "--mask", tmp_path / "mask.png")
    assert 60 < entry["possible_looks"] < 96
    assert entry["verification"]["evidence_used"] <= entry["possible_looks"]
    write_image(tmp_path / "other.png", np.zeros((5, 7), np.uint8))
    line = refused(1, "verify", smooth, *QUICK, "--mask", tmp_path / "other.png")
    for part in ("other.png", "7 x 5 pixels", "smooth.png", "128 x 96"):
        assert part in line


def test_what_is_refused_is_said_once_and_before_any_work(tmp_path, smooth):
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for options, text in (
        (["--threshold", 1.5], "threshold"),
        (["--required-share", 1], "required_share"),
        (["--cost-of-look", -1], "cost_of_look"),
        (["--cost-of-false-accept", 0], "cost_of_false_accept"),
        (["--cost-of-false-reject", "nan"], "cost_of_false_reject"),
        (["--max-looks", 0], "max_looks"),
        (["--patch-size", 0], "patch_size"),
        (["--initial-known", 1], "initial_known"),
        (["--algorithm", "magic"], "magic"),
        (["--data-range", 2, 1], "data_range"),
        (["--device", "gpu"], "device"),
        (["-o", smooth], "cannot make the folder"),
    ):
        assert text in refused(2, "verify", smooth, smooth, *options)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    for arguments in (["verify"], ["verify", smooth, "--max-looks", "many"]):
        result = helicopter(*arguments)
        assert result.returncode == 2
        assert "Traceback" not in result.stderr


def test_control_c_keeps_what_is_done(tmp_path, smooth, monkeypatch, capsys):
    second = tmp_path / "second.png"
    second.write_bytes(smooth.read_bytes())

    def interrupted(path, **limits):
        if path == second:
            raise KeyboardInterrupt
        return read_image(path, **limits)

    monkeypatch.setattr("helicopter.io.read_image", interrupted)
    images = [smooth, second, smooth]
    assert verify(VerifyOptions(images, patch_size=8, algorithm="harmonic")) == 130
    stdout, stderr = capsys.readouterr()
    assert "smooth.png" in stdout
    assert stderr == "helicopter: interrupted; 1 of 3 done\n"


def test_odd_file_names_are_harmless(smooth):
    odd = smooth.rename(smooth.parent / "[red]\x1b[31m.png")
    assert "[red]\\x1b[31m.png" in done("verify", odd, *QUICK)


def test_the_defaults_are_those_of_the_engine(smooth):
    (entry,) = entries(smooth, *QUICK)
    expected = HatataMDPEngine(use_rust_acceleration=False).verify([0.9])
    for name in ("threshold", "required_share", "credible_level"):
        assert entry["verification"][name] == expected[name]
    assert entry["verification"]["costs"] == list(expected.costs)
