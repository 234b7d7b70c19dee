"""Training the network: seeded, resumable, with checkpoints and a log."""

from __future__ import annotations

import hashlib
import io
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from helicopter.errors import InvalidOptionError, ModelError
from helicopter.io._atomic import atomic_open

from ._crops import Batch, Crops
from ._defaults import LEARNING_RATE, STEPS
from ._loss import MEASURES, loss_of
from ._muon import optimizers
from ._network import Architecture, Network

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from helicopter.models._network import NetworkWeights

__all__ = ["Settings", "Trainer", "starting_point"]

#: Share of the steps over which the learning rate rises, and falls to zero at the end.
WARM_UP, COOL_DOWN = 0.015, 0.35
AVERAGING = 0.999
#: What to do about a checkpoint that cannot be continued.
ADVICE = "Name another with --checkpoint, or delete it to begin anew."
#: Settings that a checkpoint is continued with as it was begun, and what the user has to know.
UNCHANGED = {"seed": "", "learnable_share": " (it is 0 with --from)"}
#: What is averaged over the steps between two records.
MEASURED = (*MEASURES, "norm")


@dataclass(frozen=True)
class Settings:
    """What makes one training run differ from another.

    Attributes
    ----------
    steps : int
        Batches to learn from.
    learning_rate, weight_decay : float
    seed : int
        Of everything: first weights, crops, masks.
    learnable_share : float
        Share of the steps with the masks that are learnt first; 0 for a network that has
        learnt already.
    synthetic_share, noisy_share : float
        Share of the crops that are synthetic, and of those with noise; see `Crops`.
    log_every, save_every : int
        Steps between two records and two checkpoints.
    """

    steps: int = STEPS
    learning_rate: float = LEARNING_RATE
    weight_decay: float = 1e-4
    seed: int = 0
    learnable_share: float = 0.28
    synthetic_share: float = 0.0
    noisy_share: float = 0.0
    log_every: int = 50
    save_every: int = 500


class Trainer:
    """Trains one network; everything that a later process needs to go on is in its checkpoint.

    On a processor, going on gives the same numbers, bit for bit, as never having stopped, given the
    same number of steps, threads, version of PyTorch and backend that solves for the crops.

    Parameters
    ----------
    photographs : sequence of uint8 ndarray of shape (H, W, 3)
    checkpoint : Path
        Is continued if it is there.
    settings : Settings
        `steps` may differ from the checkpoint's; the learning rate then follows the new number.
    architecture : Architecture, optional
        By default that of the checkpoint or of `start`, else that of the shipped network.
    device : str
        As PyTorch names it. On CUDA the arithmetic of the network is bfloat16.
    start : mapping of str to Tensor, optional
        Weights to begin with, if there is no checkpoint.
    workers : int
        Threads that prepare batches; the batches do not depend on it.
    """

    def __init__(
        self,
        photographs: Sequence[NDArray[np.uint8]],
        checkpoint: Path,
        settings: Settings,
        architecture: Architecture | None = None,
        device: str = "cpu",
        start: Mapping[str, Tensor] | None = None,
        workers: int = 1,
    ) -> None:
        self.settings = settings
        self.checkpoint = checkpoint
        self.device = torch.device(device)
        self.workers = workers
        self.crops = Crops(
            photographs,
            settings.seed,
            round(settings.learnable_share * settings.steps),
            settings.synthetic_share,
            settings.noisy_share,
        )
        self.fingerprint = _fingerprint(photographs)
        saved = self._saved() if checkpoint.exists() else None
        if saved is not None:
            architecture = Architecture(**saved["architecture"])
        torch.manual_seed(settings.seed)
        self.network = Network(architecture).to(self.device)
        if self.device.type == "cuda":  # slower on a processor, where it is the gradient of kernels
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if start is not None and saved is None:
            self.network.load_state_dict(start)
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.optimizers = optimizers(self.network, settings.learning_rate, settings.weight_decay)
        self.step = 0
        #: whether the checkpoint was made with other photographs; None if there was no checkpoint
        self.other_photographs: bool | None = None
        if saved is not None:
            self._resume(saved)

    def learning_rate(self, step: int) -> float:
        """Rise, stay, and fall to zero."""
        done = step / self.settings.steps
        factor = min(1.0, (step + 1) / max(1.0, WARM_UP * self.settings.steps))
        return self.settings.learning_rate * min(factor, max(0.0, (1.0 - done) / COOL_DOWN))

    def run(
        self,
        log: Callable[[dict[str, Any]], None],
        progress: Callable[[int, int], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Train up to the last step, or until `stop` says so; return whether all steps are done.

        Parameters
        ----------
        log : callable
            Gets a record every so often.
        progress : callable, optional
            Called with (done, total) after every step.
        stop : callable
            Asked after every step. The checkpoint is written before this method returns.

        Raises
        ------
        ModelError
            If training diverged: at the next record or checkpoint, and before that is written.
        """
        started, since = time.perf_counter(), self.step
        measured: list[list[float]] = []
        saved_at = self.step
        # The momentum of a feature that has died fades into numbers that take ten times as long.
        # To treat them as zero is a state of the thread, which OpenMP's threads inherit when they
        # are made: so updates get a thread of their own, and the caller's stay as they are.
        flushing = ThreadPoolExecutor(1, initializer=torch.set_flush_denormal, initargs=(True,))
        with flushing, ThreadPoolExecutor(self.workers) as ahead:
            first = range(self.step, min(self.step + self.workers, self.settings.steps))
            coming = deque(ahead.submit(self.crops.batch, step) for step in first)
            while self.step < self.settings.steps and not stop():
                batch = coming.popleft().result()
                if self.step + self.workers < self.settings.steps:
                    coming.append(ahead.submit(self.crops.batch, self.step + self.workers))
                measured.append(flushing.submit(self._update, batch).result())
                self.step += 1
                if self.step % self.settings.log_every == 0:
                    self._require_finite(measured, saved_at)
                    means = np.mean(measured, axis=0).tolist()
                    record: dict[str, Any] = {"step": self.step}
                    record |= {k: round(v, 4) for k, v in zip(MEASURED, means, strict=True)}
                    seconds = time.perf_counter() - started
                    record["seconds_per_step"] = round(seconds / (self.step - since), 3)
                    log(record)
                    measured = []
                if self.step % self.settings.save_every == 0:
                    self._require_finite(measured, saved_at)
                    self.write_checkpoint()
                    saved_at = self.step
                if progress is not None:
                    progress(self.step, self.settings.steps)
            for future in coming:
                future.cancel()
        if self.step != saved_at:
            self._require_finite(measured, saved_at)
            self.write_checkpoint()
        return self.step >= self.settings.steps

    def _require_finite(self, measured: Sequence[Sequence[float]], saved_at: int) -> None:
        """Raise if a measure of the last steps, up to this one, is NaN or infinite."""
        for step, measures in enumerate(measured, self.step - len(measured) + 1):
            if np.isfinite(measures).all():
                continue
            kept = (
                f"The checkpoint {str(self.checkpoint)!r} of step {saved_at} is untouched; "
                "continue from it"
                if saved_at
                else "No checkpoint had been written; begin anew"
            )
            raise ModelError(
                f"training diverged at step {step}: its measures are not finite. {kept} with a "
                f"lower --learning-rate than {self.settings.learning_rate:g}."
            )

    def _update(self, batch: Batch) -> list[float]:
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate(self.step) * group.get("factor", 1.0)
        truth, harmonic = (self._planes(field) for field in (batch.truth, batch.harmonic))
        hidden, inside = (self._planes(field[..., None]) for field in (batch.hidden, batch.inside))
        loss, measures = loss_of(self.network, truth, harmonic, hidden, inside)
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        decay = min(AVERAGING, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.average[name].lerp_(value, 1 - decay)
        # one transfer from the device for all
        values: list[float] = torch.cat([measures, norm.detach().float()[None]]).tolist()
        return values

    def _planes(self, field: NDArray[np.float32]) -> Tensor:
        planes = torch.from_numpy(field.astype(np.float32, copy=False))
        return planes.to(self.device).permute(0, 3, 1, 2)

    def write_checkpoint(self) -> None:
        """Write the checkpoint: whole, or not at all."""
        state = {
            "step": self.step,
            "settings": asdict(self.settings),
            "architecture": self.network.architecture.to_dict(),
            "network": self.network.state_dict(),
            "average": self.average,
            "optimizer": [optimizer.state_dict() for optimizer in self.optimizers],
            "photographs": self.fingerprint,
        }
        buffer = io.BytesIO()  # of a disk that is full, PyTorch makes an error of its own
        torch.save(state, buffer)
        with atomic_open(self.checkpoint) as file:
            file.write(buffer.getbuffer())

    def _saved(self) -> dict[str, Any]:
        try:
            state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
            begun = {name: state["settings"][name] for name in UNCHANGED}
            Architecture(**state["architecture"])
        except Exception as problem:  # whatever the reader makes of a foreign or damaged file
            raise ModelError(
                f"{str(self.checkpoint)!r} is no checkpoint that can be continued "
                f"({type(problem).__name__}). {ADVICE}"
            ) from problem
        for name, explanation in UNCHANGED.items():
            wanted = getattr(self.settings, name)
            if begun[name] != wanted:
                raise InvalidOptionError(
                    f"the checkpoint {str(self.checkpoint)!r} was begun with {name} {begun[name]}, "
                    f"not {wanted}{explanation}. {ADVICE}"
                )
        return dict(state)

    def _resume(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average = state["average"]
        try:
            for optimizer, saved in zip(self.optimizers, state["optimizer"], strict=True):
                optimizer.load_state_dict(saved)
        except (KeyError, TypeError, ValueError) as problem:
            raise ModelError(
                f"{str(self.checkpoint)!r} is a checkpoint of another version of Helicopter. "
                f"{ADVICE}"
            ) from problem
        self.step = state["step"]
        self.other_photographs = state.get("photographs") != self.fingerprint


def starting_point(weights: NetworkWeights) -> tuple[Architecture, dict[str, Tensor]]:
    """Return the architecture and the state to begin with of weights that were read from a file."""
    read = weights.architecture
    state = {name: torch.from_numpy(value.copy()) for name, value in weights.tensors.items()}
    return Architecture(read.widths, read.down, read.up, read.scale_width), state


def _fingerprint(photographs: Sequence[NDArray[np.uint8]]) -> str:
    digest = hashlib.sha256()
    for photograph in photographs:
        digest.update(repr(photograph.shape).encode())
        digest.update(np.ascontiguousarray(photograph[::16, ::16]).tobytes())
    return digest.hexdigest()
