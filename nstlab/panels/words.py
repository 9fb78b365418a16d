"""What the controls say, in one place: to translate them, translate these. {braces} stand for values."""

SWIPE = {
    "before": "before",
    "after": "after",
    "line": "Line between {before} and {after}",
    "share": "{percent} % of the width shows {before}",
}
BRUSH = {
    "mark": "Mark",
    "erase": "Erase",
    "tool": "Tool",
    "size": "Brush size",
    "pixels": "{size} px",
    "undo": "Undo",
    "marked": "{percent} % of the picture is marked.",
    "help": "Drag to paint. Keys: arrows move, Space lowers and lifts the brush, E erases, [ ] change its size, Ctrl+Z undoes.",
    "down": "The brush is down: the arrow keys paint.",
    "up": "The brush is lifted.",
    "surface": "painting surface",
}
THUMBNAILS = {"label": "Pictures", "empty": "There is nothing to choose from yet."}
DROP = {
    "label": "Upload a picture",
    "hint": "Drop it here, or press to choose; at most {limit} MB each.",
    "hint_one": "Drop it here, or press to choose; at most {limit} MB.",
    "sending": "Uploading {name}: {percent} %",
    "large": "{name} has {size} MB, and at most {limit} MB can be uploaded: make a smaller copy of it",
    "many": "{count} files at once are too many: upload at most {most} at a time",
    "kind": "{name} is not a file of a kind that is taken here ({accept})",
    "unreadable": "{name} cannot be read: if it is a folder, choose the files in it",
    "broken": "{name} did not arrive whole: upload it again",
}
TRIANGLE = {"label": "Triangle of three paintings: press or drag to blend them, or use the sliders below."}
PAINTER = {
    "alt": "The photo",
    "softness": "softness",
    "clear": "Clear",
    "invert": "Mark the rest",
    "invert_hint": "Mark what is not marked, and the other way round",
    "saliency": "From saliency",
    "saliency_hint": "Begin anew with what stands out in the photo",
    "looking": "looking for what stands out, a few seconds ...",
}
CHOOSER = {"path": "or the path of your own picture", "upload": "Upload", "upload_hint": "up to {limit} MB"}
