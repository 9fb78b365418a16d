"""The cell of a notebook with every control of the kit."""

KIT = """
import io
import ipywidgets as widgets
import numpy as np
from PIL import Image
from nstlab import images
from nstlab.errors import SettingError
from nstlab.panels import kit, parts

photo, heard, names = images.load("cat", 400), [], ["starry-night", "great-wave", "composition-viii", "mona-lisa"]
items = [{"name": n, "picture": parts.jpeg(images.load(n, 96)), "alt": f"{n}, a painting"} for n in names]
swipe = kit.Swipe(parts.jpeg(photo), parts.jpeg(1 - photo), alt=("a cat", "the cat as a negative")).add_class("kit-swipe")
brush = kit.Brush(parts.jpeg(photo), size=40, alt="a cat").add_class("kit-brush")
one = kit.Thumbnails(items, "great-wave", label="Paintings").add_class("kit-one")
several = kit.Thumbnails(items, multiple=True, most=2, label="Some paintings").add_class("kit-several")
zone = kit.DropZone("Upload pictures", 20).add_class("kit-zone")
slider = kit.Slider(0.5, label="strength", readout="percent").add_class("kit-slider")
size = kit.ChoiceSlider([96, 192, 384], "size").add_class("kit-size")
triangle = kit.Triangle([item["picture"] for item in items[:3]], dots=[[1, 0, 0, True], [0, 1, 0, False]])
triangle.add_class("kit-triangle")
picture = kit.Picture(parts.jpeg(photo), "a cat", 200).add_class("kit-picture")

def hear(files):
    heard.extend((name, len(data)) for name, data in files)
    if files[0][0] == "bad.png":
        raise SettingError("bad.png is <not> good")

zone.on_files(hear)
shown = lambda: np.asarray(Image.open(io.BytesIO(brush.mask)).convert("L"))
parts.Panel([swipe, brush, one, several, zone, slider, size, triangle, picture])
"""
