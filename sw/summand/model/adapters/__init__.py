"""Adapters: summands beside those of a model that is shared and stays as it is."""

from summand.model.adapters.folder import Adapter, is_adapter
from summand.model.adapters.manifest import AdapterManifest, Addition
from summand.model.adapters.writer import AdapterWriter, check_adapter_destination

__all__ = [
    "Adapter",
    "AdapterManifest",
    "AdapterWriter",
    "Addition",
    "check_adapter_destination",
    "is_adapter",
]
