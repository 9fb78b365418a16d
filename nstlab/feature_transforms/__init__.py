"""From a content's features and a style's to features that have the content's layout and the style's statistics or patches."""

from nstlab.feature_transforms.adain import AdaIN
from nstlab.feature_transforms.base import FeatureTransform, Part, usable
from nstlab.feature_transforms.color_map import ColorMap
from nstlab.feature_transforms.monge import Monge
from nstlab.feature_transforms.style_swap import StyleSwap, WhitenedSwap
from nstlab.feature_transforms.whitening import Whitening

__all__ = ["AdaIN", "ColorMap", "FeatureTransform", "Monge", "Part", "StyleSwap", "WhitenedSwap", "Whitening", "usable"]
