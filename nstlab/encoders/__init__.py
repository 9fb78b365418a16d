"""Frozen networks as functions from a picture to features: VGG-19, its small approximation, and others loaded by name."""

from nstlab.encoders.base import Encoder
from nstlab.encoders.loading import NAMES, load_encoder
from nstlab.encoders.pocket import PocketEncoder
from nstlab.encoders.vgg import VGG

__all__ = ["NAMES", "VGG", "Encoder", "PocketEncoder", "load_encoder"]
