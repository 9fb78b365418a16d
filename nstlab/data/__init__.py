"""Data to train on: folders, MS-COCO, WikiArt and the samples as sets of pictures, and seeded batches cut from them."""

from nstlab.data.alike import leave_out
from nstlab.data.batches import Batch, Batches
from nstlab.data.coco import Coco
from nstlab.data.pictures import Files, Folder, Joined, Pictures, Repeated, Samples, every_tenth, open_pictures
from nstlab.data.split import kept_apart
from nstlab.data.wikiart import WikiArt, Work, stream_wikiart

__all__ = [
    "Batch",
    "Batches",
    "Coco",
    "Files",
    "Folder",
    "Joined",
    "Pictures",
    "Repeated",
    "Samples",
    "WikiArt",
    "Work",
    "every_tenth",
    "kept_apart",
    "leave_out",
    "open_pictures",
    "stream_wikiart",
]
