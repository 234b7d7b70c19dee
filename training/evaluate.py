"""Write the model card of a trained network: what it learnt from, how, how good it is, its limits.

    python benchmarks/reconstruction.py --images DIR --json > quality.json
    python benchmarks/calibration.py --images DIR --json > calibration.json
    python training/evaluate.py --checkpoint network.checkpoint --photographs DIR \\
        --figures quality.json calibration.json

DIR of the benchmarks holds photographs that took part in nothing; that of `--photographs` is what
training/photographs.py built. Figures are copied from the files, never typed. Needs PyTorch, to
read the checkpoint.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photographs import Photograph, read_table
from PIL import Image

from helicopter.io import atomic_open
from helicopter.models._network import load_network
from helicopter.training._photographs import find_photographs, hold_out

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from helicopter.models._network import NetworkWeights

HERE = Path(__file__).resolve().parent
CARD = HERE.parent / "helicopter/models/NETWORK.md"
#: Tables of the benchmarks that go into the card, by how their titles begin.
WANTED = (
    "PSNR over hidden pixels",
    "PSNR above harmonic",
    "SSIM over hidden pixels",
    "Faithfulness of texture",
    "network against harmonic",
    "Processor seconds",
    "Coverage of central intervals",
    "Confidence of hidden patches",
    "Spearman's rank correlation",
    "Confidence of patches, autonomous",
)

LIMITS = """\
- It learnt from photographs, mostly of nature, buildings and materials, made two to three times
  smaller, so that they are sharp to the last pixel and free of noise. Text, drawings, medical
  images and images that are blurred or noisy are not what it knows; for images of one kind, train
  on them (docs/tutorial-own-images.md).
- It predicts the mean of what is plausible. In wide gaps that is smooth: grass, hair and the like
  lose their texture. The algorithm `exemplar` draws texture instead, at the price of larger errors.
- It looks at most {radius} pixels far. Larger holes are filled from their rim by the harmonic
  solution, which it corrects.
- Stated uncertainties hold on average over photographs and masks like those of the figures. On
  a single image they can be off; the column "90% by image" shows by how much. They say nothing
  about images of another kind.
- It has seen colours as red, green and blue, and grey images; not false colours.
- The photographs show few people; no test for fairness towards them was made. What it draws into a
  hole is a guess and no evidence.
"""


def main() -> None:
    """Write the card."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--weights", type=Path, help="by default those of the package")
    parser.add_argument("--checkpoint", type=Path, help="of the run that made them")
    parser.add_argument("--photographs", type=Path, help="the folder that it learnt from")
    parser.add_argument("--calibrated-on", metavar="TEXT", help="if not on some of these")
    parser.add_argument("--table", type=Path, default=HERE / "photographs.tsv")
    parser.add_argument("--figures", type=Path, nargs="*", default=[], metavar="JSON")
    parser.add_argument("-o", "--output", type=Path, default=CARD)
    given = parser.parse_args()
    weights = load_network(given.weights)
    table = read_table(given.table)
    lines = [
        "# The network that comes with Helicopter",
        "",
        "Written by `training/evaluate.py`; what to run again is in docs/training.md.",
        "",
        *network_section(weights),
        *data_section(table, given.photographs, given.calibrated_on),
        *training_section(given.checkpoint),
        *figures_section(given.figures),
        "## Limits",
        "",
        LIMITS.format(radius=weights.architecture.halo),
        "## Licence",
        "",
        "The weights are distributed under the licence of Helicopter (MIT). No photograph is part",
        "of them or of this package.",
    ]
    with atomic_open(given.output) as file:
        file.write(("\n".join(lines).rstrip() + "\n").encode())
    print(given.output)


def network_section(weights: NetworkWeights) -> Iterator[str]:
    """What it is, in numbers."""
    a = weights.architecture
    count = sum(value.size for value in weights.tensors.values())
    yield from ("## What it is", "")
    yield "A residual U-Net that corrects the harmonic solution of an image's hidden pixels and"
    yield "states, for each, the scale of its error."
    yield "See helicopter/backends/reference/algorithms/network.py."
    yield ""
    yield from markdown(
        [
            {"": "parameters", "value": f"{count:,}"},
            {"": "file", "value": f"{len(weights.data) / 1e6:.2f} MB, half precision"},
            {"": "widths of the levels", "value": ", ".join(map(str, a.widths))},
            {"": "residual blocks down; up", "value": f"{list(a.down)}; {list(a.up)}"},
            {"": "looks", "value": f"at most {a.halo} pixels far"},
            {"": "SHA-256 of the tensors", "value": f"`{weights.sha256}`"},
        ]
    )


def data_section(
    table: Sequence[Photograph], folder: Path | None, elsewhere: str | None
) -> Iterator[str]:
    """What it learnt from, with every photograph's licence."""
    used = {photograph.name: photograph for photograph in table}
    yield from ("## Data", "")
    if folder is not None:
        paths = find_photographs(folder)
        kept, held_out = (paths, []) if elsewhere else hold_out(paths)
        used = {path.stem: used[path.stem] for path in paths}  # all must be in the table
        calibrating = f"{len(held_out)} ({megapixels(held_out):.1f}; every tenth by name)"
        yield f"{len(kept)} photographs to learn from ({megapixels(kept):.1f} megapixels) and"
        yield f"{elsewhere or calibrating} to calibrate on. The former were"
    else:
        yield f"{len(used)} photographs,"
    yield "rebuilt by `python training/photographs.py DIR` from the packages below, made smaller by"
    yield "the factor in training/photographs.tsv."
    yield ""
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for p in used.values():
        groups.setdefault((p.kind, p.package, p.version, p.licence), []).append(p.name)
    yield from markdown(
        [
            {
                "package": f"{package} {version} ({'Debian' if kind == 'deb' else kind})",
                "licence": licence,
                "number": len(names),
                "photographs": ", ".join(names),
            }
            for (kind, package, version, licence), names in groups.items()
        ]
    )


def megapixels(paths: Sequence[Path]) -> float:
    """Return the pixels of image files, in millions."""
    total = 0
    for path in paths:
        with Image.open(path) as image:
            total += image.width * image.height
    return total / 1e6


def training_section(checkpoint: Path | None) -> Iterator[str]:
    """How it was trained."""
    yield from ("## Training", "")
    yield "Masks: blocks, patches, single pixels, holes, scribbles, free shapes, lines and lost"
    yield "borders, 1 % to 97 % hidden. Loss: squared and absolute error relative to those of the"
    yield "harmonic solution, and a fifth of the likelihood of a Laplace distribution for the"
    yield "scale. Optimizer: Muon inside, AdamW for the first and last"
    yield "layers. What is shipped is the running average of the weights. The settings are those"
    yield "that the run ended with; docs/training.md tells what came before."
    yield ""
    if checkpoint is None:
        return
    import torch

    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    rows = [{"setting": "steps done", "value": str(state["step"])}]
    rows += [
        {"setting": k.replace("_", " "), "value": str(v)} for k, v in state["settings"].items()
    ]
    rows.append({"setting": "PyTorch", "value": torch.__version__})
    yield from markdown(rows)


def figures_section(paths: Sequence[Path]) -> Iterator[str]:
    """Tables of the benchmarks, as they printed them."""
    yield from ("## Figures", "")
    if not paths:
        yield from ("None were given.", "")
    else:
        yield f"Copied from what was given with --figures: {', '.join(p.name for p in paths)}. The"
        yield "photographs are those that the benchmarks were run on; that none of them trained or"
        yield "calibrated the network is for who ran them to see to, and was not checked here."
        yield ""
    for path in paths:
        parts = json.loads(path.read_text(encoding="utf-8"))
        here = parts.pop("machine", {})
        processor, threads = here.get("processor", "?"), here.get("threads", "?")
        yield from (f"Measured on {processor}, {threads} thread(s):", "")
        for title, part in parts.items():
            if title.startswith(WANTED) and part["rows"]:
                yield from (f"### {title}", "")
                yield from markdown(part["rows"])
                if part["note"]:
                    yield from (f"{part['note']}.", "")


def markdown(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Lay out rows as a table."""
    yield "| " + " | ".join(map(_cell, rows[0])) + " |"
    yield "|" + "---|" * len(rows[0])
    for row in rows:
        yield "| " + " | ".join(_cell(row.get(key)) for key in rows[0]) + " |"
    yield ""


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main()
