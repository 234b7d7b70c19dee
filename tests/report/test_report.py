"""The page: complete in itself, escaped, bounded, honest."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from handmade import autonomous, every_kind, photograph, whole
from PIL import Image

from helicopter.core.results._analysis import Analysis
from helicopter.errors import InvalidImageError, InvalidOptionError
from helicopter.io import read_image
from helicopter.report import result_to_html, write_report

EVIL = "<script>alert(1)</script>.png"
VOID = {"meta", "img", "input", "link", "br", "source"}


class Page(HTMLParser):
    """Collects tags, attributes and text, and sees to it that tags are balanced."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.text, self.open = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.links += [v for k, v in attributes if k in ("src", "href", "srcset", "data", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text.append(data)

    def words(self):
        return " ".join(" ".join(self.text).split())


def written(tmp_path, analysis, image, **options):
    files = write_report(analysis, image, tmp_path / "r", **options)
    return files, Page(files.html.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def report(tmp_path_factory, analysis, image):
    """With everything drawn; where it does not matter, tests do without (`undrawn`)."""
    return written(tmp_path_factory.mktemp("report"), analysis, image)


def test_the_page_needs_nothing_else(report):
    files, page = report
    assert page.links
    assert all(link.startswith("data:image/") for link in page.links if link is not None)
    text = files.html.read_text(encoding="utf-8")
    without_data = re.sub(r"data:image/[^\"]+", "", text)
    assert "://" not in without_data
    assert "url(" not in without_data
    assert "@import" not in without_data
    assert [tag for tag, _ in page.tags if tag in ("link", "iframe", "object", "base")] == []
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv"))
    assert "default-src 'none'" in policy


@pytest.mark.usefixtures("undrawn")
def test_everything_that_was_promised_is_on_the_page(tmp_path, analysis, image):
    _, page = written(
        tmp_path, analysis, image, name="cup.png", options={"seed": 4711, "target_quality": 0.9}
    )
    words = page.words()
    for part in (
        "cup.png", "Quality", "0.930", "good", "Skill", "0.70", "PSNR", "21.30 dB", "SSIM", "0.610",
        "Mean error", "grey levels of 255", "Confidence", "58 %", "Completion", "100 %",
        "Iterations", "every hidden patch had been predicted", "python on cpu", "1.50 s",
        "harmonic", "adaptive", "Seed", "4711", "90 x 70, RGB, uint8", "Helicopter 0.1.0",
        "What was shown", "Redrawn", "Uncertainty", "Error", "How to read this",
        "Look at skill, not only at quality",
    ):  # fmt: skip
        assert part in words, part
    slider = next(a for t, a in page.tags if t == "input" and a["type"] == "range")
    assert slider["aria-label"]
    assert all(a.get("alt") for t, a in page.tags if t == "img")
    rows = [t for t, _ in page.tags].count("tr")
    assert rows >= len(analysis.autonomous.history)


@pytest.mark.usefixtures("undrawn")
def test_names_and_options_are_escaped(tmp_path, analysis, image):
    files, page = written(
        tmp_path, analysis, image, name=EVIL, options={"<b>x</b>": "<img src=x onerror=alert(1)>"}
    )
    text = files.html.read_text(encoding="utf-8")
    assert EVIL in page.words()
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "<b>x</b>" not in text.lower()


@pytest.mark.usefixtures("undrawn")
def test_a_name_that_is_no_unicode_does_not_stop_it(tmp_path, analysis, image):
    files, _ = written(tmp_path, analysis, image, name="caf\udce9.png")
    assert "caf?.png" in files.html.read_text(encoding="utf-8")


@pytest.mark.usefixtures("undrawn")
def test_fields_of_results_are_escaped_everywhere(tmp_path, image):
    evil = whole(autonomous(image, algorithm=EVIL, backend=EVIL, stop_reason=EVIL), 1.0)
    files, _ = written(tmp_path, evil, image)
    assert "<script>alert" not in files.html.read_text(encoding="utf-8")
    assert "<script>alert" not in result_to_html(evil)
    assert "&lt;script&gt;alert" in result_to_html(evil)


def test_large_images_are_scaled_down(tmp_path):
    large = photograph((1000, 2000), "uint16")
    files, page = written(tmp_path, whole(autonomous(large, patch=128), 1.0), large)
    sizes = []
    for link in page.links:
        if link.startswith("data:image/webp;base64,"):
            data = base64.b64decode(link.partition(",")[2])
            with Image.open(io.BytesIO(data)) as picture:
                sizes.append(picture.size)
    assert max(max(size) for size in sizes) == 1400
    assert (1400, 700) in sizes
    assert files.html.stat().st_size < 4_000_000
    for plot in files.plots:
        with Image.open(plot) as picture:
            assert max(picture.size) <= 1700


def test_what_was_shown_hides_exactly_the_hidden_patches(report, analysis, image):
    files, _ = report
    shown = read_image(files.html.parent / "what-was-shown.png").pixels
    hidden = analysis.autonomous.hidden_mask
    np.testing.assert_array_equal(shown[~hidden], image[~hidden])
    assert np.ptp(shown[hidden], axis=1).max() == 0  # grey
    assert len(np.unique(shown[hidden])) == 2


def test_the_files_beside_the_page(report):
    files, _ = report
    names = {path.name for path in files.html.parent.iterdir()}
    plots = {
        "original", "what-was-shown", "uncertainty", "error", "quality", "overview", "noise",
        "segments", "anomalies",
        "verification",
    }  # fmt: skip
    assert names == {"report.html"} | {f"{plot}.png" for plot in plots}
    assert {path.name for path in files.plots} == names - {"report.html"}
    for plot in files.plots[2:]:  # the first two are pictures of the image
        assert min(read_image(plot).pixels.shape[:2]) > 100


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        ("uint8", (33, 20)),
        ("uint8", (33, 20, 4)),
        ("uint16", (33, 20, 1)),
        ("float32", (33, 20, 3)),
        ("float64", (33, 20, 4)),
        ("bool", (33, 20)),
    ],
)
@pytest.mark.usefixtures("undrawn")
def test_every_kind_of_image_has_a_report(tmp_path, dtype, shape):
    picture = photograph(shape, dtype)
    _, page = written(tmp_path, whole(autonomous(picture, patch=8), 1.0), picture)
    assert str(picture.dtype) in page.words()


def test_a_page_of_extremes(tmp_path):
    nothing = float("nan")
    picture = np.zeros((16, 16), np.uint8)
    found = autonomous(
        picture, patch=8, quality=1.0, skill=nothing, psnr_db=float("inf"), ssim=nothing,
        average_confidence=nothing, history=(), iterations=0, stop_reason="max_iterations",
        uncertainty_map=np.zeros((16, 16), np.float32),
        error_map=np.full((16, 16), nothing, np.float32),
    )  # fmt: skip
    _, page = written(tmp_path, whole(found, 0.0), picture)
    assert "Skill is undefined" in page.words()
    assert re.search(r"\bnan\b", page.words(), re.IGNORECASE) is None


def caution_of(tmp_path, image, **changes):
    _, page = written(tmp_path, whole(autonomous(image, **changes), 1.0), image)
    return any(attributes.get("class") == "caution" for _, attributes in page.tags), page.words()


@pytest.mark.usefixtures("undrawn")
def test_a_high_quality_without_skill_is_called_out(tmp_path, image):
    there, words = caution_of(tmp_path, image, quality=0.97, skill=0.05)
    assert there
    assert "A smooth image gets a high quality for nothing" in words
    there, words = caution_of(tmp_path, image, quality=0.97, skill=-0.4)
    assert there
    assert "nothing was understood" in words
    there, _ = caution_of(tmp_path, image, quality=0.97, skill=0.8)
    assert not there


@pytest.mark.usefixtures("undrawn")
def test_kept_promises_are_counted_per_patch(tmp_path, image):
    # two of three errors below 5 % of 255 (12.75), patch by patch
    found = autonomous(image, patch=16)
    error = np.zeros_like(found.error_map)
    columns = -(-image.shape[1] // 16)
    patches = [patch for record in found.history for patch in record.patches]
    for number, patch in enumerate(patches):
        row, column = divmod(patch, columns)
        error[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16] = 12 if number % 4 else 13
    _, page = written(tmp_path, whole(autonomous(image, error_map=error), 1.0), image)
    share = np.mean([number % 4 > 0 for number in range(len(patches))])
    assert f"; {100 * share:.0f} % of them were" in page.words()


@pytest.mark.usefixtures("undrawn")
def test_a_long_history_is_cut_in_the_table_only(tmp_path, image):
    record = autonomous(image).history[0]
    fields = {name: record[name] for name in record}
    history = tuple(type(record)(**{**fields, "iteration": k + 1}) for k in range(1000))
    _, page = written(tmp_path, whole(autonomous(image, history=history), 1.0), image)
    assert "All 1000 iterations" in page.words()
    assert "left out here; the JSON file has all" in page.words()
    assert [tag for tag, _ in page.tags].count("tr") < 450


def test_the_wrong_things_are_refused(tmp_path, analysis, image):
    with pytest.raises(InvalidImageError, match="not the one that was analysed"):
        write_report(analysis, image[:-1], tmp_path)
    with pytest.raises(InvalidOptionError, match="analysis must be an Analysis"):
        write_report({}, image, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidOptionError, match="cannot make the folder"):
        write_report(analysis, image, tmp_path / "file" / "r")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.usefixtures("undrawn")
def test_an_old_report_survives_a_failure(tmp_path, analysis, image, monkeypatch):
    files, _ = written(tmp_path, analysis, image)
    before = {path: path.read_bytes() for path in files.html.parent.iterdir()}

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_report(analysis, image, files.html.parent, name="another")
    assert {path: path.read_bytes() for path in files.html.parent.iterdir()} == before


@pytest.mark.parametrize("kind", sorted(every_kind()))
def test_every_result_has_a_notebook_fragment(kind):
    result = every_kind()[kind]
    html = result._repr_html_()
    page = Page(html)
    assert kind in page.words()
    shown = result.autonomous if isinstance(result, Analysis) else result
    for name in shown:
        assert name in page.words()
    assert ("img" in [tag for tag, _ in page.tags]) == ("reconstruction" in shown)
    json.dumps(result.to_dict(), allow_nan=False)
