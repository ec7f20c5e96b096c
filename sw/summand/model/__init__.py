"""Summand models: compressed layers, and the folder that keeps them."""

from summand.model.channels import ChannelGroups
from summand.model.entries import HostEntry, LayerEntry
from summand.model.errors import ModelError
from summand.model.folder import SummandModel, is_model
from summand.model.layer import Layer
from summand.model.manifest import Manifest
from summand.model.transform import Transform
from summand.model.writer import ModelWriter, check_destination

__all__ = [
    "ChannelGroups",
    "HostEntry",
    "Layer",
    "LayerEntry",
    "Manifest",
    "ModelError",
    "ModelWriter",
    "SummandModel",
    "Transform",
    "check_destination",
    "is_model",
]
