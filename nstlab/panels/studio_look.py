"""How the studio looks: one spacing, one type scale, light and dark with the host's theme, from 360 to 1920 pixels wide."""

from pathlib import Path

CSS = "nst-studio"

LOOK = f"<style>{Path(__file__).with_name('studio.css').read_text(encoding='utf-8')}</style>"


def fit(ratio: float) -> str:
    """A style that lets a picture of that width over its height fit into the window."""
    parts = f".{CSS} .{CSS}-stage .nst-swipe-frame, .{CSS} .{CSS}-stage .nst-surface"
    return f"<style>{parts} {{ max-width: min(100%, calc(max(300px, 72vh) * {ratio:.4f})) }}</style>"


def status(text: str, wrong: bool = False, share: float | None = None) -> str:
    """HTML of what is going on, `text` escaped already; read aloud where it changes. `share` in [0, 1] draws a bar."""
    kind, role = ("nst-said", "alert") if wrong else ("nst-calm", "status")
    bar = ""
    if share is not None:
        percent = round(100 * share)
        bar = (
            f'<div class="nst-bar-outer" role="progressbar" aria-label="{percent} %" aria-valuenow="{percent}"'
            f' aria-valuemin="0" aria-valuemax="100"><div class="nst-bar-inner" style="width: {percent}%"></div></div>'
        )
    return f'<p class="{kind}" role="{role}">{text}</p>{bar}'
