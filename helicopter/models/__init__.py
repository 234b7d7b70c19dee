"""What has been learnt from photographs, shipped as package data: tables, and networks."""

from ._network import NetworkWeights, load_network
from ._uncertainty import UncertaintyModel, uncertainty_model

__all__ = ["NetworkWeights", "UncertaintyModel", "load_network", "uncertainty_model"]
