"""Write the model card of the noise estimator: `helicopter/models/NOISE.md`.

    python training/noise/card.py [--figures FILE.md]

FILE.md holds what the benchmarks printed.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

from prepare import FACTOR, GRAINY, wanted

from helicopter.io import atomic_open
from helicopter.models._noise import SHIPPED_DIGEST, noise_model

CARD = Path(__file__).parents[2] / "helicopter" / "models" / "NOISE.md"

CARD_TEXT = """# The networks that tell noise from content

Written by `training/noise/card.py`; what to run again is in docs/training.md.

## What they are

For grey images and for colour, each: a network that weighs every 8 x 8 block of an image by what it
tells of the noise, for eight heads; one that concludes the level of the fine noise, with its 90
% interval, from the blocks' weighted features; and one that concludes the kinds from this and
from measurements of impulses, interference and compression. See
helicopter/backends/reference/analysis/noise/.

|  | value |
|---|---|
| parameters, grey | {grey:,} |
| parameters, colour | {colour:,} |
| SHA-256 of the file | `{digest}` |

## Data

{count} photographs, rebuilt by `python training/photographs.py DIR` from the packages below and
made smaller once more, by {factor}, by `training/noise/prepare.py`. Left out of its table are
photographs of packages that the project's development photographs come from, and those that are
noisy themselves. {grainy} more, marked *, have a grain that nothing tells from noise: the first
sitting (below) learnt from them too, before that was found out; the conclusions did not. One in
eight, by name, was held out from the conclusions and set the width of their intervals; the first
sitting held out another eighth, of all {all}, and so may have learnt from those.

| package | licence | number | photographs |
|---|---|---|---|
{table}

## Training

- First the blocks' networks, and the first version of the others, learnt on a GPU (H200) in eleven
  minutes in two goes, the second of which went on from the first with another normalisation
  of the features: 13,000 batches of grey crops and 10,400 of colour (`training/noise/train.py`).
- The conclusions were then learnt from {samples},
  measured by `training/noise/samples.py`, on two processor cores (`training/noise/fit.py`).
- Impulses are judged by two logistic regressions, interference by one, fitted on the 343
  photographs of `training/photographs.py` (`training/fit_noise_impulses.py`; the other was fitted
  in the same way by hand, its weights are in the code).
- The 16 development photographs trained nothing. They chose between variants, which is why
  figures on them are labelled so. The 24 Kodak photographs trained nothing; they were looked at
  three times, and once led to a change: clean scans of film were called periodic, whereupon
  impulses, interference and compression were judged by their own measurements alone.

{figures}
## Limits

- Noise is told from fine texture by its spectrum and its independence from channel to channel. A
  grey photograph that is all needles or gravel may be called less noisy than it is.
- Noise that the channels share (of one sensor, as luminance grain) is judged like that of a grey
  image.
- Trained on pieces of photographs, and collages of pieces, from 64 x 64 to 512 x 768; larger
  images have more blocks, smaller ones wide intervals. Drawings, text and screenshots were not in
  the training.

## Licence

The weights are distributed under the licence of Helicopter (MIT). No photograph is part of them
or of this package.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--figures", type=Path, help="Markdown that the benchmarks printed")
    parser.add_argument("--samples", default="measurements", help="how many, in words")
    options = parser.parse_args()
    groups = defaultdict(list)
    photographs = wanted(grainy=True)
    for p in photographs:
        kind = {"deb": "Debian", "npm": "npm"}.get(p.kind, p.kind)
        name = p.name + "*" * (p.name in GRAINY)
        groups[f"{p.package} {p.version} ({kind})", p.licence].append(name)
    rows = [
        f"| {package} | {licence} | {len(names)} | {', '.join(sorted(names))} |"
        for (package, licence), names in groups.items()
    ]
    counts = [sum(v.size for v in noise_model(channels).tensors.values()) for channels in (1, 3)]
    figures = options.figures.read_text(encoding="utf-8") + "\n" if options.figures else ""
    text = CARD_TEXT.format(
        grey=counts[0],
        colour=counts[1],
        digest=(CARD.parent / SHIPPED_DIGEST).read_text(encoding="ascii").strip(),
        count=len(wanted()),
        grainy=len(photographs) - len(wanted()),
        all=len(photographs),
        factor=FACTOR,
        table="\n".join(rows),
        samples=options.samples,
        figures=figures,
    )
    with atomic_open(CARD) as file:
        file.write(text.encode())
    print(CARD)


if __name__ == "__main__":
    sys.exit(main())
