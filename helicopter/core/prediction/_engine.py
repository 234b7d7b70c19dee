"""What all engines have in common: the choice of backend and device, and of what predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helicopter._shared.checks import check_seed
from helicopter.backends._engine import Engine
from helicopter.core.registry import find_algorithm
from helicopter.models import NetworkWeights, uncertainty_model

from ._error_law import LAPLACE, CalibratedLaw

if TYPE_CHECKING:
    import os

    from helicopter._shared.arrays import Image, Mask
    from helicopter.backends.protocol import Algorithm

    from ._error_law import ErrorLaw

__all__ = ["PredictingEngine"]


class PredictingEngine(Engine):
    """Base of the engines that predict hidden pixels.

    Attributes
    ----------
    algorithm : str
    seed : int
    """

    def __init__(
        self,
        algorithm: str,
        weights: str | os.PathLike[str] | None,
        seed: int,
        device: str,
        use_rust_acceleration: bool | None,
    ) -> None:
        found = find_algorithm(algorithm, weights)
        self.algorithm = algorithm
        self.seed = check_seed(seed)
        super().__init__(device, use_rust_acceleration)
        self._algorithm: Algorithm = self._exemplar if found == "exemplar" else found
        self._model = uncertainty_model(algorithm)
        self._law: ErrorLaw = LAPLACE
        if isinstance(found, NetworkWeights):
            self._model = uncertainty_model(found)
            self._law = CalibratedLaw(found.calibration)

    def _exemplar(self, context: Image, mask: Mask) -> tuple[Image, None]:
        """The built-in `exemplar` in the form of a kernel; both backends call it alike."""
        prediction = context.copy()
        self._backend.exemplar(prediction, mask, self.seed)
        return prediction, None
