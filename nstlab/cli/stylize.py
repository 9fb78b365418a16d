"""`nstlab stylize`: the command of one system, made from its options."""

import inspect
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nstlab import options
from nstlab.errors import DivergedError, SettingError

if TYPE_CHECKING:
    from nstlab.systems import System

TYPES = {"int": int, "float": float, "weights": list[str], "texts": list[str]}  # the others are text


def system_named(arguments: list[str]) -> str:
    """The value of --system among the command line's arguments, or the default."""
    for number, word in enumerate(arguments):
        if word == "--":
            break
        if word == "--system" and number + 1 < len(arguments):
            return arguments[number + 1]
        if word.startswith("--system="):
            return word.partition("=")[2]
    return "gatys"


def command(system: "System"):
    """The function behind `nstlab stylize` for this system: Typer reads its options from the signature."""

    def stylize(context: typer.Context, content, style, out, **given):
        named = {name for name in given if context.get_parameter_source(name).name == "COMMANDLINE"}
        values = {f.name: options.parsed(f, given[f.name]) for f in fields(system.options) if f.name in named}
        _paint(system, content, list(style or ()), out, values)

    stylize.__doc__ = f"""Paint a photo like a painting. Ctrl-C stops early and keeps the picture so far.

    These are the options of {system.name} ({system.paper}); `nstlab systems` lists the others, and
    `nstlab stylize --system NAME --help` their options."""
    stylize.__signature__ = inspect.Signature([*_fixed(system), *map(_parameter, _on_the_command_line(system))])
    return stylize


def _on_the_command_line(system: "System"):
    return [field for field in fields(system.options) if field.metadata["kind"] != "python"]


def _fixed(system: "System") -> list[inspect.Parameter]:
    styles = "The painting, or several: paths or sample names."
    if system.styles == "learned":
        styles = "The style, or several: names that the network learned."
    kinds = {
        "context": (typer.Context, inspect.Parameter.empty),
        "content": (Annotated[str, typer.Argument(help="The photo: a path or a sample name.")], inspect.Parameter.empty),
        "style": (Annotated[list[str], typer.Argument(help=styles)], ()),
        "out": (
            Annotated[Path, typer.Option("--out", "-o", help="The picture to write (.png, .jpg, .webp, .tif, .bmp).")],
            inspect.Parameter.empty,
        ),
        "system": (Annotated[str, typer.Option(help="The system: see `nstlab systems`.")], system.name),
    }
    return [_keyword(name, annotation, default) for name, (annotation, default) in kinds.items()]


def _parameter(field) -> inspect.Parameter:
    kind, default = field.metadata["kind"], field.default
    annotation = TYPES.get(kind, str)
    if kind in ("weights", "texts"):
        default = ()
    elif kind == "layers":
        default = ",".join(default)
    elif default is None:
        annotation = annotation | None
    return _keyword(field.name, Annotated[annotation, typer.Option(options.flag(field), help=field.metadata["text"])], default)


def _keyword(name: str, annotation, default) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _paint(system: "System", content: str, styles: list[str], out: Path, values: dict) -> None:
    from nstlab import images
    from nstlab.systems import plan

    images.writable(out)
    run = plan(content, styles, system=system.name, **values)
    images.writable(out, run.schedule[-1][0])
    for note in run.notes:
        print(f"note: {note}", file=sys.stderr)
    try:
        for _ in progress(run):
            pass
    except KeyboardInterrupt:
        if run.last is None:
            raise
        print(f"stopped at step {run.last.index}; the picture so far is in {run.result().save(out)}", file=sys.stderr)
        raise typer.Exit(130) from None
    except DivergedError as error:
        run.made(error.image).save(out)
        raise SettingError(f"{error}; the last good picture is in {out}") from None
    print(run.result().save(out))


def progress(run):
    """The run's steps behind a bar on stderr; its time left counts pixels, since coarse steps are cheap."""
    from tqdm import tqdm

    work = sum(steps * height * width for (height, width), steps in run.schedule)
    layout = "{percentage:3.0f} % |{bar:30}| {desc}, {remaining} left"
    with tqdm(total=work, bar_format=layout, file=sys.stderr, disable=not sys.stderr.isatty(), leave=False) as bar:
        for step in run:
            bar.set_description_str(f"step {step.index} at {step.scale} px, loss {step.total:.3g}", refresh=False)
            if step.index:
                bar.update(step.image.shape[-2] * step.image.shape[-1])
            yield step
