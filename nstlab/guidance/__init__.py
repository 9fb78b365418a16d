"""Maps of a picture: what stands out, which things it contains, where its outlines are, what is near.

Each function has a default that needs no download, accepts the user's own map, and names in its result the method that
made it. Maps are (N, 1, H, W) in [0, 1], labels int64 (N, H, W), at the size of the picture.
"""

from nstlab.guidance.depth import depth, motorcycle, stereo
from nstlab.guidance.edges import edges
from nstlab.guidance.faces import face_map, faces
from nstlab.guidance.guide import Guide, load_map
from nstlab.guidance.importance import importance
from nstlab.guidance.matching import Match, match_looks, match_names, match_numbers
from nstlab.guidance.saliency import saliency
from nstlab.guidance.segments import Segments, load_labels, segments
from nstlab.guidance.things import Things, things

__all__ = [
    "Guide",
    "Match",
    "Segments",
    "Things",
    "depth",
    "edges",
    "face_map",
    "faces",
    "importance",
    "load_labels",
    "load_map",
    "match_looks",
    "match_names",
    "match_numbers",
    "motorcycle",
    "saliency",
    "segments",
    "stereo",
    "things",
]
