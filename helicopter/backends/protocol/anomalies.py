"""What is measured around each pixel in search of anomalies."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Map, Mask

__all__ = ["WINDOW_REACH", "AnomalyBackend", "AnomalyEvidence"]


#: Windows end after so many standard deviations.
WINDOW_REACH = 4.0


class AnomalyEvidence(NamedTuple):
    """What there is to judge an image by, on the [0, 1] scale.

    `image` and `prediction`: float32 (H, W, C); `sigma`, the predicted standard deviation, and
    `noise`, that of the noise: float32 (H, W); `included`: bool (H, W).
    """

    image: Image
    prediction: Image
    sigma: Map
    noise: Map
    included: Mask

    def rows(self, rows: slice) -> AnomalyEvidence:
        """Return what concerns these rows."""
        image, prediction, sigma, noise, included = self
        return AnomalyEvidence(
            image[rows], prediction[rows], sigma[rows], noise[rows], included[rows]
        )


class AnomalyBackend(Protocol):
    """Measures how unlike the rest a place is."""

    def anomaly_measurements(self, evidence: AnomalyEvidence, width: float) -> NDArray[np.float32]:
        """Measure Gaussian windows of standard deviation `width` around each pixel.

        Of shape (H, W, 2 C + 7): means of the residual and of the image in each channel; logarithms
        of the mean energy of the residual, of the predicted variance, of the energy of differences
        to the neighbours below, right, below right and below left, and of the noise. Only included
        pixels count; the image goes on as its mirror image.
        """

    def squared_distances(
        self,
        measured: NDArray[np.float32],
        centre: NDArray[np.float64],
        form: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return (x - centre)' form (x - centre) for each pixel of (H, W, M), none below 0."""
