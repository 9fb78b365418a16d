"""Metrics of how much of content and style an output keeps: distances, strokes, repetition, recognition."""

from nstlab.metrics.distances import (
    GMSD_C,
    UNUSED_STYLE_LAYERS,
    color_distance,
    depth_error,
    edge_f1,
    feature_distance,
    gmsd,
    ssim,
    style_distance,
)
from nstlab.metrics.recognition import Recognised, faces_found, recognised
from nstlab.metrics.repetition import repeats, repetition_map
from nstlab.metrics.strokes import painted_inside, stroke_energy, stroke_share, structure

__all__ = [
    "GMSD_C",
    "UNUSED_STYLE_LAYERS",
    "Recognised",
    "color_distance",
    "depth_error",
    "edge_f1",
    "faces_found",
    "feature_distance",
    "gmsd",
    "painted_inside",
    "recognised",
    "repeats",
    "repetition_map",
    "ssim",
    "stroke_energy",
    "stroke_share",
    "structure",
    "style_distance",
]
