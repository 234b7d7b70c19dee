"""Train the second network, grown from the weights of the package: for days, in the background.

    nice -n 19 python training/second.py PHOTOGRAPHS... --out DIR [--steps N] [--threads 2]

Everything is in DIR: `checkpoint`, `best` (the averaged weights that did best on photographs kept
out), and `log.jsonl`. The same command goes on from the checkpoint, after Ctrl-C, `kill` or a
crash. Another --steps makes the run longer or shorter: the learning rate falls over the last 35 %.
To go on from other weights, such as those of `training/on_gpu.py`, begin in another DIR with
--start. It stops by itself if it diverges, or if the photographs kept out get worse than they were.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from helicopter.io._atomic import atomic_open
from helicopter.models._network import load_network
from helicopter.training._grow import grown
from helicopter.training._network import Architecture, Network, half_precision
from helicopter.training._photographs import find_photographs, read_photographs
from helicopter.training._trainer import Settings, Trainer, starting_point
from helicopter.training._validation import gains

#: 3.3 million weights (6.5 MB in half precision), 145,000 multiply-adds a pixel.
ARCHITECTURE = Architecture(
    widths=(64, 80, 128, 160), down=(2, 2, 2, 3), up=(2, 1, 1), scale_width=32, fine=16
)
#: Of so many photographs one is kept out.
ONE_IN = 50
#: Steps between two looks at the photographs kept out, and the loss in dB that ends the run.
LOOK_EVERY, MOST_LOSS = 2000, 0.4


def settings(steps: int, learning_rate: float) -> Settings:
    """What the second network learns from, and how."""
    return Settings(
        steps=steps,
        learning_rate=learning_rate,
        seed=2,
        learnable_share=0.0,
        synthetic_share=0.18,
        noisy_share=0.15,
        save_every=100,
    )


def kept(folders: list[Path]) -> tuple[list[Path], list[Path]]:
    """Return the photographs to train on, and those kept out."""
    paths = [path for folder in folders for path in find_photographs(folder)]
    some = [path for number, path in enumerate(paths) if number % ONE_IN != ONE_IN - 1]
    return some, paths[ONE_IN - 1 :: ONE_IN]


def read(folders: list[Path]) -> tuple[list[Any], list[Any]]:
    """Return the photographs to train on, 8 bits, and those kept out, in [0, 1]."""
    paths, others = kept(folders)
    out = read_photographs(others)
    return read_photographs(paths), [
        picture.astype(np.float32) / np.float32(255) for picture in out
    ]


def look(trainer: Trainer, photographs: list[Any]) -> dict[str, float]:
    """Return the gains of the averaged weights, as they would be shipped."""
    network = Network(trainer.network.architecture)
    network.load_state_dict(half_precision(trainer.average))
    return {kind: round(gain, 3) for kind, gain in gains(network, photographs).items()}


def main() -> None:
    """Train until all steps are done, or until told to stop."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", metavar="PHOTOGRAPHS")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument("--learning-rate", type=float, default=6e-4)
    parser.add_argument("--start", type=Path, help="weights of `best` or `average` to begin with")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: stopped.append(number))

    def log(record: dict[str, Any]) -> None:
        record = {"at": time.strftime("%Y-%m-%d %H:%M:%S"), **record}
        with (given.out / "log.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    photographs, others = read(given.folders)
    if given.start is None:
        start = grown(starting_point(load_network())[1], ARCHITECTURE)
    else:
        start = torch.load(given.start, weights_only=True)["average"]
    trainer = Trainer(
        photographs,
        given.out / "checkpoint",
        settings(given.steps, given.learning_rate),
        ARCHITECTURE,
        start=start,
    )
    log({"begun at": trainer.step, "photographs": len(photographs), "process": os.getpid()})
    best_file, best = given.out / "best", None
    if best_file.exists():
        best = torch.load(best_file, weights_only=True)["mean"]
    done = False
    while not (done or stopped):
        if trainer.step % LOOK_EVERY == 0:
            found = look(trainer, others)
            mean = float(np.mean(list(found.values())))
            log({"step": trainer.step, "kept out": found, "mean": round(mean, 3)})
            if best is None or mean > best:
                best = mean
                state = {"step": trainer.step, "mean": mean, "average": trainer.average}
                state["architecture"] = ARCHITECTURE.to_dict()
                with atomic_open(best_file) as file:
                    torch.save(state, file)
            elif mean < best - MOST_LOSS:
                log({"stopped": f"{best - mean:.2f} dB worse than the best so far"})
                return
        following = (trainer.step // LOOK_EVERY + 1) * LOOK_EVERY
        done = trainer.run(log, stop=lambda until=following: bool(stopped) or trainer.step >= until)
    log({"step": trainer.step, "done": done, "kept out": look(trainer, others) if done else None})


if __name__ == "__main__":
    main()
