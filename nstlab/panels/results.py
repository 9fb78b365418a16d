"""What a sweep has made: turn its parameters and see each run's picture and numbers, beside one that is kept for comparison."""

import html
import json
from pathlib import Path

import ipywidgets as widgets

from nstlab import images
from nstlab.errors import NstlabError, SettingError
from nstlab.experiments.sweep import flat
from nstlab.panels import parts
from nstlab.panels.kit import ChoiceSlider
from nstlab.panels.swipe import Swipe

MOST = 12  # numbers of a run that are shown


class SweepBrowser(parts.Panel):
    """A slider for each parameter that a sweep varies; the picture and numbers of the run they choose.

    `folder` is that of `nstlab sweep`. "Compare with this" keeps the picture, and the line between before and after then stands
    between it and the run that is chosen next; it stays where it is put. "Reload" reads the table again while a sweep is
    under way. Raises SettingError for a folder without a table.
    """

    def __init__(self, folder):
        self.folder, self.rows = Path(folder), []
        self.label = parts.label("nst-results-label")
        self.swipe = Swipe("nst-results", 480, alt=("the picture that is kept", "the picture of the run that is chosen"))
        self.compare_button = parts.button("Compare with this", "columns", "nst-results-compare", self.compare)
        self.reload_button = parts.button("Reload", "refresh", "nst-results-reload", self.reload)
        self._kept, self._named = None, ""
        self.rows = self._read()
        values = {
            name: list(dict.fromkeys(row["parameters"][name] for row in self.rows)) for name in self.rows[0]["parameters"]
        }
        self.sliders = {name: self._slider(name, found) for name, found in values.items() if len(found) > 1 or len(values) == 1}
        wrap = parts.wrapping()
        buttons = widgets.Box([self.compare_button, self.reload_button], layout=wrap)
        super().__init__([*self.sliders.values(), buttons, self.label, self.swipe])
        self._show()

    @property
    def row(self) -> dict:
        """The run that the sliders choose, as its row of the table."""
        chosen = {name: slider.value for name, slider in self.sliders.items()}
        return next(row for row in self.rows if all(row["parameters"][name] == value for name, value in chosen.items()))

    def compare(self) -> None:
        """Keep the picture that is shown, to compare the next ones with."""
        self._kept = self._picture(self.row)
        self._named = ", ".join(f"{name} {_short(slider.value)}" for name, slider in self.sliders.items())
        self._show()
        self.swipe.position = 0.5

    def reload(self) -> None:
        """Read the table again; the parameters must be those of before."""
        try:
            rows = self._read()
            if [row["parameters"] for row in rows] != [row["parameters"] for row in self.rows]:
                raise SettingError(f"{self.folder} holds another grid now: make the panel anew")
            self.rows = rows
            self._show()
        except NstlabError as error:
            self.label.value = parts.red(error)

    def _read(self) -> list[dict]:
        table = self.folder / "table.json"
        try:
            rows = json.loads(table.read_text(encoding="utf-8"))["rows"]
            whole = all({"parameters", "status", "picture", "results"} <= set(row) for row in rows)
        except (OSError, ValueError, KeyError, TypeError):
            rows, whole = [], False
        if not rows or not whole:
            raise SettingError(f"{table} is not the table of a sweep: give the folder that nstlab sweep -o wrote")
        return rows

    def _slider(self, name: str, values: list) -> ChoiceSlider:
        options = [(_short(value), value) for value in values]
        slider = ChoiceSlider(options, name, label_width=110)
        slider.layout = widgets.Layout(width="420px", max_width="100%")
        slider.observe(lambda _: self._show(), names="value")
        return slider.add_class(f"nst-results-{name.replace('_', '-')}")

    def _picture(self, row: dict):
        return images.load(self.folder / row["picture"]) if row["picture"] else None

    def _show(self) -> None:
        row = self.row
        try:
            picture = self._picture(row)
        except NstlabError as error:
            self.label.value = parts.red(error)
            return
        self.compare_button.disabled = picture is None
        self.label.value = self._said(row)
        self.swipe.layout.display = "none" if picture is None else ""
        if picture is None:
            return
        line, kept = self.swipe.position, self._kept
        if kept is not None and kept.shape != picture.shape:
            kept = images.resize(kept, tuple(picture.shape[-2:]))
        self.swipe.show(*([picture] if kept is None else [kept, picture]))
        self.swipe.position = line

    def _said(self, row: dict) -> str:
        if row["status"] != "done":
            return parts.red(f"{row['status']}: {row.get('error') or 'not run yet'}")
        numbers = {name: value for name, value in flat(row["results"]).items() if type(value) in (int, float)}
        shown = [f"{name} {value:.4g}" for name, value in numbers.items()]
        seconds = f"{row['seconds']:.0f} s" if row.get("seconds") else ""
        said = html.escape(" · ".join(filter(None, [*shown[:MOST], seconds])) or "done, without numbers")
        return f"{said}<br>before: <b>{html.escape(self._named)}</b>" if self._named else said


def _short(value) -> str:
    """A value as a slider says it: of a file its name."""
    return Path(value).stem if isinstance(value, str) else str(value)
