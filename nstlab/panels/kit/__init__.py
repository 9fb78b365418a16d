"""The controls that ipywidgets lacks, alike in JupyterLab, Notebook 7, VS Code, Colab and Voila.

Each control is a Python class with its JavaScript beside it; `kit.css` holds the look of all of them, and `nstlab.panels.words`
what they say. Nothing is loaded from another server.
"""

from nstlab.panels.kit.brush import Brush
from nstlab.panels.kit.drop_zone import DropZone
from nstlab.panels.kit.picture import Picture
from nstlab.panels.kit.slider import ChoiceSlider, Slider
from nstlab.panels.kit.swipe import Swipe
from nstlab.panels.kit.thumbnails import Thumbnails
from nstlab.panels.kit.triangle import Triangle

__all__ = ["Brush", "ChoiceSlider", "DropZone", "Picture", "Slider", "Swipe", "Thumbnails", "Triangle"]
