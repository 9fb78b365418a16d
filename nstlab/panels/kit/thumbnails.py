"""A grid of pictures, of which one or several are chosen."""

import traitlets

from nstlab.errors import SettingError
from nstlab.panels import words
from nstlab.panels.kit.base import Control, script, style


class Thumbnails(Control):
    """Choose by picture: each item is {"name", "picture", "alt"}, and perhaps a "title" to stand under it.

    A "picture" is the bytes of a PNG or JPEG file or a data URL, "alt" describes it, the title is the name if there is none.
    `chosen` is the name of the item that is chosen, "" for none; with `multiple` a list of names, in the order of the choice,
    of which there are at most `most` (0: any number). `label` says what is chosen here, `side` how wide a picture is, in
    pixels. Arrow keys, Home and End move through the grid; Space or Enter chooses. Raises SettingError for an item without
    a name or with a name that is there already, and for a picture that is an address elsewhere.
    """

    _esm, _css = script("thumbnails"), style("thumbnails")
    items = traitlets.List(traitlets.Dict()).tag(sync=True, echo_update=False)
    chosen = traitlets.Union([traitlets.Unicode(), traitlets.List(traitlets.Unicode())], default_value="").tag(sync=True)
    multiple = traitlets.Bool(False).tag(sync=True)
    most = traitlets.Int(0, min=0).tag(sync=True)
    label = traitlets.Unicode(words.THUMBNAILS["label"]).tag(sync=True)
    side = traitlets.Int(96, min=32).tag(sync=True)

    def __init__(self, items=(), chosen=None, multiple: bool = False, **options):
        chosen = ([] if multiple else "") if chosen is None else chosen
        super().__init__(items=list(items), chosen=chosen, multiple=multiple, **{"words": words.THUMBNAILS} | options)

    @traitlets.validate("items")
    def _check(self, proposal):
        names = [item.get("name") for item in proposal.value]
        if not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
            raise SettingError(f"thumbnails {names}: give each a name of its own")
        for item in proposal.value:
            if isinstance(item.get("picture"), str) and not item["picture"].startswith("data:image/"):
                raise SettingError(f"the picture of {item['name']}: give its bytes or a data URL")
        return proposal.value
