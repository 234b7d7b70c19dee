"""Anomalies: what in an image does not follow from the rest of it, and is no noise either."""

from ._detector import AnomalyDetector

__all__ = ["AnomalyDetector"]
