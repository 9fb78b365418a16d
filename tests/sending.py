"""What a browser would send to the controls of the kit."""

import io

import numpy as np
from PIL import Image

PIECE = 1000


def arrive(zone, *files):
    """Files, (name, bytes) each, that somebody drops on a drop zone."""
    zone._handle_custom_msg({"kind": "start", "batch": "1", "files": [{"name": n, "size": len(d)} for n, d in files]}, [])
    for number, (_, data) in enumerate(files):
        for at in range(0, len(data), PIECE):
            piece = {"kind": "piece", "batch": "1", "file": number}
            zone._handle_custom_msg(piece, [memoryview(data[at : at + PIECE])])
    zone._handle_custom_msg({"kind": "end", "batch": "1"}, [])


def grey(values) -> bytes:
    """PNG bytes of a map (H, W) in bytes."""
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(values, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def greys(data: bytes) -> np.ndarray:
    """The map (H, W) of PNG bytes."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"))


def paint(brush, values) -> None:
    """A map as somebody has painted it, sent as a browser sends bytes."""
    brush.set_state({"mask": memoryview(grey(values))})
