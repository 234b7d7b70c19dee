"""Whether the evidence is enough: what is said on the page, what is drawn."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from handmade import autonomous, verification, whole
from test_plotting import drawn
from test_report import Page

from helicopter.core import HatataMDPEngine
from helicopter.core.results._verification import VerificationCosts
from helicopter.plotting import DARK, LIGHT, plot_result, verification_figure
from helicopter.report import _verification_wording as verification_wording
from helicopter.report import result_to_html, write_report


def real(qualities, **options):
    return HatataMDPEngine(use_rust_acceleration=False).verify(qualities, **options)


def labelled(axes):
    """Handles of the legend by their labels."""
    return dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))


# ---- words


@pytest.mark.parametrize(
    ("decision", "chance", "words"),
    [
        ("accept", 0.97, "Accepted: with a probability of 97 %, at least 75 % of the patches can"),
        ("accept", 0.3, "Accepted, since rejecting would cost more: the probability that"),
        ("reject", 0.02, "Rejected: with a probability of 98 %, fewer than 75 % of the patches"),
        ("reject", 0.7, "Rejected, since accepting would cost more"),
        ("continue", 0.6, "Not enough evidence: the probability that at least 75 % of the patches"),
        ("accept", 1.0, "a probability of more than 99.9 %"),
        ("reject", 1.0, "is more than 99.9 % all the same"),
        ("continue", 0.0, "is less than 0.1 %, and a further look"),
    ],
)
def test_the_verdict_is_said(decision, chance, words):
    found = verification(decision=decision, understanding_probability=chance)
    sentence = verification_wording.verdict_sentence(found)
    assert words in sentence
    assert "quality of 0.8 or more" in sentence


def test_the_interval_is_said():
    found = verification(credible_interval=(0.61, 0.987), understood_share=0.8825)
    sentence = verification_wording.interval_sentence(found)
    assert "61 % to 98.7 % with a probability of 95 % (mean 88.2 %)" in sentence


@pytest.mark.parametrize(
    ("used", "effective", "possible", "words"),
    [
        (15, 15.0, 80, "15 looks of 80 possible ones were used."),
        (15, 15.0, 15, "All 15 looks were used."),
        (1, 1.0, 9, "1 look of 9 possible ones was used."),
        (1, 1.0, 1, "The only look was used."),
        (40, 12.34, 80, "count as 12.3 independent ones, since patches near each other are alike."),
        (0, 0.0, 5, "No look was worth its cost: the figures are those of the prior."),
    ],
)
def test_the_looks_are_counted(used, effective, possible, words):
    found = verification(evidence_used=used, effective_looks=effective)
    assert verification_wording.looks_sentence(found, possible).endswith(words)


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        ("accept", "no further look is worth its cost of 0.001 (expected loss 0.12)"),
        ("reject", "see which patches were predicted badly"),
        ("continue", "look at more patches"),
    ],
)
def test_what_to_do_next_is_said(decision, words):
    assert words in verification_wording.next_sentence(verification(decision=decision))


def test_a_limit_of_looks_is_named_where_it_decided():
    limited = verification(decision="accept", max_looks=40)
    assert "with 40 looks at most" in verification_wording.next_sentence(limited)


def test_the_words_do_not_need_what_draws():
    code = (
        "import sys; import helicopter.report._verification_wording; "
        "sys.exit('matplotlib' in sys.modules or 'jinja2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- the page


@pytest.mark.usefixtures("undrawn")
def test_the_section_of_the_page(tmp_path, image):
    verified = verification(decision="accept")
    files = write_report(whole(autonomous(image), verified=verified), image, tmp_path)
    page = Page(files.html.read_text(encoding="utf-8"))
    words = page.words()
    for part in (
        "Is the evidence enough?", "Accepted: with a probability of 88.2 %",
        "The share of such patches is", "15 looks of 24 possible ones were used", "Look by look.",
        "a success from a quality of 0.8 on", "Decision accepted confident; next: converge.",
        "Probability 0.8824", "Looks 15 14 of them successes; worth 12 independent ones.",
        "a false accept costs 1, a false reject 1, a look 0.001", "Beta(1, 1)",
    ):  # fmt: skip
        assert part in words, part
    assert tmp_path / "verification.png" in files.plots
    assert not any("enough" in attributes.get("class", "") for _, attributes in page.tags)


@pytest.mark.usefixtures("undrawn")
def test_a_page_without_a_verification_has_no_section(tmp_path, image):
    bare = dataclasses.replace(whole(autonomous(image)), verification=None)
    for number, found in enumerate((bare, autonomous(image))):
        files = write_report(found, image, tmp_path / str(number))
        assert "Is the evidence enough?" not in files.html.read_text(encoding="utf-8")
        assert not (files.html.parent / "verification.png").exists()


@pytest.mark.usefixtures("undrawn")
def test_a_verification_of_its_own_comes_first(tmp_path, image):
    other = verification(decision="reject", understanding_probability=0.01)
    for found in (autonomous(image), whole(autonomous(image))):
        page = write_report(found, image, tmp_path, verification=other).html
        words = Page(page.read_text(encoding="utf-8")).words()
        assert "Rejected: with a probability of 99 %" in words
        assert "Accepted" not in words


def test_a_notebook_shows_the_verdict_of_an_analysis(image):
    page = Page(result_to_html(whole(autonomous(image))))
    assert "evidence accept (confident): probability 0.8824" in page.words()
    bare = dataclasses.replace(whole(autonomous(image)), verification=None)
    assert "evidence nothing was scored" in Page(result_to_html(bare)).words()


# ---- figures


@pytest.mark.parametrize("style", [LIGHT, DARK], ids=["light", "dark"])
def test_the_figure_shows_the_trajectory(style):
    found = real([0.9, 0.7, 0.95, 0.9, 0.9] * 40)
    share, probability = verification_figure(found, style).axes
    looks = np.arange(1, found.evidence_used + 1)
    line = labelled(share)["share of the looks that succeeded"]
    np.testing.assert_array_equal(line.get_xdata(), looks)
    successes = np.cumsum([step.success for step in found.trajectory])
    np.testing.assert_allclose(line.get_ydata(), successes / looks)
    line = labelled(probability)["probability that the share is enough"]
    np.testing.assert_array_equal(line.get_ydata(), [step.probability for step in found.trajectory])
    band = labelled(share)["95 % interval of the share"].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(min(step.low for step in found.trajectory))
    assert band[:, 1].max() == pytest.approx(max(step.high for step in found.trajectory))


def inside(axes, region, x, y):
    return any(path.contains_point((x, y)) for path in labelled(axes)[region].get_paths())


@pytest.mark.parametrize(("chance", "decision"), [(0.95, "accept"), (0.5, "reject"), (0.8, None)])
@pytest.mark.parametrize("seed", range(4))
def test_the_policy_stops_exactly_where_the_line_enters_a_region(chance, decision, seed):
    rng = np.random.default_rng(seed)
    qualities = np.where(rng.random(300) < chance, 0.9, 0.5)
    found = real(qualities, cost_of_look=0.002, effective_looks="all")
    assert decision is None or found.decision == decision
    (share, _) = verification_figure(found).axes
    for step in found.trajectory:
        at = (step.look, step.effective_successes / step.effective_looks)
        stopped = step.look == found.evidence_used
        for name in ("accept", "reject"):
            expected = stopped and found.decision == name
            assert inside(share, f"{name} in here", *at) == expected, (step.look, name)


@pytest.mark.parametrize(("chance", "decision"), [(0.6, "reject"), (0.9, "accept")])
def test_correlated_looks_enter_the_region_too(chance, decision):
    rng = np.random.default_rng(1)
    qualities = np.where(np.repeat(rng.random(150) < chance, 6), 0.9, 0.5)
    found = real(qualities, cost_of_look=2e-4)
    assert found.effective_looks < 0.3 * found.evidence_used
    assert found.decision == decision
    (share, _) = verification_figure(found).axes
    last = found.trajectory[-1]
    at = (last.look, last.effective_successes / last.effective_looks)
    assert inside(share, f"{decision} in here", *at)


@pytest.mark.parametrize(
    ("decision", "words"),
    [("accept", "accepted"), ("reject", "rejected"), ("continue", "not decided")],
)
def test_the_decision_is_marked(decision, words):
    found = verification(decision=decision)
    for axes in verification_figure(found).axes:
        mark = labelled(axes)[f"{words} after 15 looks"]
        assert mark.get_xdata() == [15]
    figure = plot_result(found)
    assert figure.get_suptitle().startswith(words)


def test_the_costs_say_from_where_on_accepting_costs_less():
    found = verification(costs=VerificationCosts(0.001, 3.0, 1.0))
    _, probability = verification_figure(found).axes
    line = labelled(probability)["above, accepting costs less"]
    assert set(line.get_ydata()) == {0.75}


def test_no_look_one_look_and_many():
    for qualities in ((), (0.9,), np.tile([0.9, 0.5], 600)):
        for style in (LIGHT, DARK):
            assert drawn(plot_result(verification(qualities), style=style)).std() > 5
    assert "1 look" in " ".join(labelled(verification_figure(verification((0.9,))).axes[0]))


def test_regions_that_are_never_reached_are_empty():
    boundaries = verification().boundaries
    never = dataclasses.replace(
        boundaries,
        reject_at=np.full(41, -1, np.int32),
        accept_from=np.arange(1, 42, dtype=np.int32),
    )
    (axes,) = never.plot().axes
    for name in ("accept", "reject"):
        assert not any(
            inside(axes, f"{name} in here", look, share)
            for look in range(1, 41)
            for share in (0.0, 0.5, 1.0)
        )
    (axes,) = boundaries.plot().axes
    assert inside(axes, "accept in here", 20, 1.0)
    assert inside(axes, "reject in here", 20, 0.0)
