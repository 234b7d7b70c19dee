"""Segmentations of other libraries, used as their documentation advises, one thread each.

A peer is a function of an RGB image and the number of segments that returns a job: calling that
gives the labels. What is done before (OpenCV's advice: a blur of 3 x 3, then Lab) is not timed.
"""

from __future__ import annotations

import importlib.util
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from common import Photo

    Job = Callable[[], Any]


def _side(image: Photo, count: int) -> int:
    return max(1, round(math.sqrt(image.shape[0] * image.shape[1] / count)))


def skimage_slic(image: Photo, count: int) -> Job:
    """With the gallery's compactness; it converts to Lab itself."""
    from skimage.segmentation import slic

    return lambda: slic(image, count, compactness=10, start_label=0)


def _lab(image: Photo, blur: bool) -> Photo:
    import cv2

    return cv2.cvtColor(cv2.GaussianBlur(image, (3, 3), 0) if blur else image, cv2.COLOR_RGB2LAB)


def _opencv_slic(image: Photo, count: int, kind: str) -> Job:
    import cv2

    lab, side = _lab(image, True), _side(image, count)
    algorithm = getattr(cv2.ximgproc, kind)

    def job():
        found = cv2.ximgproc.createSuperpixelSLIC(lab, algorithm, side, 10.0)
        found.iterate(10)
        found.enforceLabelConnectivity(25)
        return found.getLabels()

    return job


def opencv_slic(image: Photo, count: int) -> Job:
    """With the default ruler, 10 iterations and connectivity enforced, as in its sample."""
    return _opencv_slic(image, count, "SLIC")


def opencv_slico(image: Photo, count: int) -> Job:
    """As OpenCV's SLIC, compactness chosen by itself."""
    return _opencv_slic(image, count, "SLICO")


def opencv_lsc(image: Photo, count: int) -> Job:
    """With the default ratio, 10 iterations and connectivity enforced."""
    import cv2

    lab, side = _lab(image, True), _side(image, count)

    def job():
        found = cv2.ximgproc.createSuperpixelLSC(lab, side, 0.075)
        found.iterate(10)
        found.enforceLabelConnectivity(25)
        return found.getLabels()

    return job


def opencv_seeds(image: Photo, count: int) -> Job:
    """In Lab ("a bit better"), with the prior, bins and iterations of its sample.

    Of its grids the one is taken whose number of superpixels comes nearest.
    """
    import cv2

    lab = _lab(image, False)
    height, width = lab.shape[:2]

    def seeds(levels: int):
        return cv2.ximgproc.createSuperpixelSEEDS(width, height, 3, count, levels, 2, 5)

    levels = min((4, 3, 2), key=lambda n: abs(seeds(n).getNumberOfSuperpixels() - count))

    def job():
        found = seeds(levels)
        found.iterate(lab, 4)
        return found.getLabels()

    return job


def _fast_slic(image: Photo, count: int, module: str, name: str) -> Job:
    slic = getattr(importlib.import_module(module), name)
    return lambda: slic(num_components=count, compactness=10, num_threads=1).iterate(image)


def fast_slic(image: Photo, count: int) -> Job:
    """With the compactness of its documentation; it converts to Lab itself."""
    return _fast_slic(image, count, "fast_slic", "Slic")


def fast_slic_avx2(image: Photo, count: int) -> Job:
    """The same, vectorised by hand."""
    return _fast_slic(image, count, "fast_slic.avx2", "SlicAvx2")


def higra_ward(image: Photo, count: int) -> Job:
    """Ward's criterion from single pixels on, in RGB."""
    import higra

    def job():
        graph = higra.get_4_adjacency_graph(image.shape[:2])
        colours = image.reshape(-1, 3) / 255.0
        tree, altitudes = higra.binary_partition_tree_ward_linkage(graph, colours)
        return higra.labelisation_horizontal_cut_from_num_regions(tree, altitudes, count)

    return job


def _has_ximgproc() -> bool:
    if importlib.util.find_spec("cv2") is None:
        return False
    import cv2

    return hasattr(cv2, "ximgproc")


def _has(module: str) -> Callable[[], bool]:
    return lambda: importlib.util.find_spec(module) is not None


#: Function, what must be installed, and whether it is.
PEERS: dict[str, tuple[Callable[[Photo, int], Job], str, Callable[[], bool]]] = {
    "scikit-image SLIC": (skimage_slic, "scikit-image", _has("skimage")),
    "OpenCV SLIC": (opencv_slic, "opencv-contrib-python-headless", _has_ximgproc),
    "OpenCV SLICO": (opencv_slico, "opencv-contrib-python-headless", _has_ximgproc),
    "OpenCV LSC": (opencv_lsc, "opencv-contrib-python-headless", _has_ximgproc),
    "OpenCV SEEDS": (opencv_seeds, "opencv-contrib-python-headless", _has_ximgproc),
    "fast-slic": (fast_slic, "fast-slic", _has("fast_slic")),
    "fast-slic, AVX2": (fast_slic_avx2, "fast-slic", _has("fast_slic")),
    "higra, Ward of pixels": (higra_ward, "higra", _has("higra")),
}
#: Seconds a megapixel: run once only.
SLOW = ("OpenCV LSC", "higra, Ward of pixels")
