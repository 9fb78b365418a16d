"""How the studio looks: one spacing, one type scale, light and dark with the host's theme, from 360 to 1920 pixels wide."""

CSS = "nst-studio"

LOOK = """<style>
.nst-studio {
  --nst-space: 4px; --nst-radius: 6px;
  --nst-text: light-dark(#1a1a1a, #f2f2f2); --nst-quiet: light-dark(#565656, #b8b8b8);
  --nst-raised: light-dark(#f2f4f6, #2a2d31); --nst-edge: light-dark(#767676, #8f8f8f);
  --nst-accent: light-dark(#0065a0, #6cc0f5); --nst-on-accent: light-dark(#ffffff, #10202b);
  --nst-wrong: light-dark(#a63a00, #ff9d66);
  color-scheme: light dark; color: var(--nst-text); font: 15px / 1.45 var(--jp-ui-font-family, system-ui, sans-serif);
  max-width: 1840px; margin: 0 auto; padding: 8px; overflow: visible;
}
[data-jp-theme-light="true"] .nst-studio { color-scheme: light }
[data-jp-theme-light="false"] .nst-studio { color-scheme: dark }
.nst-studio .widget-html-content, .nst-studio .jupyter-widgets { color: var(--nst-text); font-size: 15px; line-height: 1.45 }
.nst-studio .widget-html, .nst-studio .widget-html-content { margin: 0; height: auto; min-width: 0; overflow: visible }
.nst-studio h2 { font-size: 17px; line-height: 1.3; margin: 0 0 4px; font-weight: 600 }
.nst-studio p { margin: 0 }
.nst-studio .nst-lead { color: var(--nst-quiet) }
.nst-studio-hall { display: grid; grid-template-columns: minmax(0, 1fr) minmax(300px, 380px); gap: 16px 24px; width: 100%;
  overflow: visible }
.nst-studio-stage, .nst-studio-side { overflow: visible; min-width: 0 }
.nst-studio-stage .nst-swipe-frame, .nst-studio-stage .nst-surface { margin: 0 auto; border-radius: var(--nst-radius) }
.nst-studio-actions { flex-flow: row wrap; gap: 8px; overflow: visible; align-items: center }
.nst-studio .widget-button, .nst-studio .widget-toggle-button { font: inherit; height: auto; min-height: 40px; width: auto;
  margin: 0; padding: 4px 16px; color: var(--nst-text); background: var(--nst-raised); border: 1px solid var(--nst-edge);
  border-radius: var(--nst-radius); line-height: 1.3; box-shadow: none; overflow: visible }
.nst-studio .widget-button:hover:enabled, .nst-studio .widget-toggle-button:hover:enabled { border-color: var(--nst-accent);
  box-shadow: none }
.nst-studio .widget-button:disabled, .nst-studio .widget-toggle-button:disabled { opacity: 0.5; cursor: not-allowed }
.nst-studio .nst-studio-paint { background: var(--nst-accent); color: var(--nst-on-accent); border-color: var(--nst-accent);
  font-weight: 650; min-width: 120px }
.nst-studio .widget-toggle-button.mod-active { background: var(--nst-accent); color: var(--nst-on-accent) }
.nst-studio :focus-visible { outline: 3px solid var(--nst-accent); outline-offset: 2px }
.nst-studio-status { min-height: 24px }
.nst-studio-status .nst-said { color: var(--nst-wrong); font-weight: 600; overflow-wrap: anywhere }
.nst-studio .nst-bar-outer { height: 6px; border-radius: 3px; background: var(--nst-raised); overflow: hidden; margin-top: 4px }
.nst-studio .nst-bar-inner { height: 100%; background: var(--nst-accent) }
.nst-studio-paintings .nst-thumbs { max-height: min(52vh, 560px); overflow-y: auto; padding: 2px }
.nst-studio-strip .nst-thumbs, .nst-studio-photos .nst-thumbs { display: flex; overflow-x: auto; padding: 2px }
.nst-studio-strip .nst-thumb, .nst-studio-photos .nst-thumb { flex: 0 0 104px }
.nst-studio-below { display: grid; grid-template-columns: minmax(0, 1fr) 240px; gap: 4px 16px; align-items: end; width: 100%;
  overflow: visible }
.nst-studio-take a { color: var(--nst-accent); font-weight: 650; text-decoration: underline; margin-right: 20px }
.nst-studio-take details { margin-top: 4px } .nst-studio-take summary { cursor: pointer; color: var(--nst-accent) }
.nst-studio-take pre { font: 13px / 1.45 var(--jp-code-font-family, ui-monospace, monospace); white-space: pre-wrap;
  overflow-wrap: anywhere; user-select: all; background: var(--nst-raised); color: var(--nst-text); padding: 8px 12px;
  border-radius: var(--nst-radius); margin: 4px 0 }
.nst-studio-finer .widget-label, .nst-studio-finer .widget-readout { color: var(--nst-text); font-size: 15px }
.nst-studio-finer select { color: var(--nst-text); background-color: var(--nst-raised); border-color: var(--nst-edge);
  font-size: 15px; height: 36px }
.nst-studio-ended { border: 2px solid var(--nst-wrong); border-radius: var(--nst-radius); padding: 12px 16px; font-weight: 600 }
@media (max-width: 860px) {
  .nst-studio-hall, .nst-studio-below { grid-template-columns: minmax(0, 1fr) }
  .nst-studio-paintings .nst-thumbs { display: flex; overflow-x: auto; max-height: none }
  .nst-studio-paintings .nst-thumb { flex: 0 0 104px }
  .nst-studio { padding: 4px }
}
</style>"""


def fit(ratio: float) -> str:
    """A style that lets a picture of that width over its height fit into the window."""
    parts = f".{CSS}-stage .nst-swipe-frame, .{CSS}-stage .nst-surface"
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
