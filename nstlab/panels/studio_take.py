"""What the studio hands over of the picture that is looked at: a PNG file, the command, the cell, a file in the folder."""

import html
import json

import ipywidgets as widgets

from nstlab.errors import NstlabError
from nstlab.panels import desk, parts, takeaway
from nstlab.panels import studio_words as words
from nstlab.panels.studio_look import CSS
from nstlab.panels.takeaway import Made


class TakeHome(widgets.VBox):
    """Links and code for one Made. Where the studio is served there is no folder to save in."""

    def __init__(self):
        self.links = parts.label(f"{CSS}-links")
        self.save = widgets.Button(description=words.SAVE).add_class(f"{CSS}-save")
        self.save.on_click(lambda _: self._save())
        self.said, self.code = parts.label(f"{CSS}-saved"), parts.label(f"{CSS}-code")
        super().__init__([self.links, self.save, self.said, self.code])
        self.add_class(f"{CSS}-take")
        self._made: Made | None = None
        self.show(None)

    def show(self, made: Made | None) -> None:
        """Hand over this one, or nothing."""
        there = made is not None
        self.save.layout.display = "" if there and not desk.served() else "none"
        if made is self._made:
            return
        self._made, self.said.value = made, ""
        self.links.value = self._links(made) if there else ""
        self.code.value = self._code(made) if there else ""

    def leave_out_file(self) -> None:
        """Take the file out of the link: a notebook that is stored should be small."""
        self.links.value = ""

    def _links(self, made: Made) -> str:
        height, width = made.result.image.shape[-2:]
        text = words.DOWNLOAD.format(width=width, height=height)
        links = takeaway.link(made.png(), made.name, text, f"{CSS}-download")
        if made.guide is not None:
            data = takeaway.png(made.guide.map)
            links += takeaway.link(data, takeaway.PROTECTED, words.DOWNLOAD_MAP, f"{CSS}-download-map")
        return links

    def _code(self, made: Made) -> str:
        settings = json.dumps({"settings": made.result.settings, "notes": made.result.notes}, indent=1)
        parts = {
            words.AS_COMMAND: takeaway.code(made.command, f"{CSS}-command"),
            words.AS_CELL: takeaway.code(made.cell, f"{CSS}-cell"),
            words.AS_SETTINGS: f"<pre>{html.escape(settings)}</pre>",
        }
        return "".join(f"<details><summary>{name}</summary>{code}</details>" for name, code in parts.items())

    def _save(self) -> None:
        """Write the picture beside the notebook, under its own name."""
        try:
            path = self._made.result.save(self._made.name)
            self.said.value = f"<p>{html.escape(words.SAVED.format(name=path))}</p>"
        except NstlabError as error:
            self.said.value = parts.red(error)
