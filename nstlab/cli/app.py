"""The `nstlab` command. Whatever goes wrong is one sentence on stderr and exit code 2."""

import platform
import sys
import warnings
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from nstlab.cli import sweep as cli_sweep
from nstlab.cli import training as cli_training
from nstlab.errors import DivergedError, NstlabError, SettingError
from nstlab.experiments.recipe import NAMED

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, help=__doc__.split(".")[0] + ".")
weights_app = typer.Typer(rich_markup_mode=None, help="Pretrained files: which there are, and how to get them.")
app.add_typer(weights_app, name="weights")
app.command()(cli_training.train)
app.command()(cli_training.slim)
app.command()(cli_sweep.sweep)
app.command()(cli_sweep.recipe)


@app.command()
def stylize(
    context: typer.Context,
    content: Annotated[str, typer.Argument(help="The photo: a path or a sample name.")],
    style: Annotated[
        list[str],
        typer.Argument(help="The painting, or several: paths or sample names; for a trained system, names it learned."),
    ] = (),
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture to write (.png, .jpg, .webp, .tif, .bmp).")],
    size: Annotated[int, typer.Option(help="Long side of the picture in pixels.")] = 512,
    steps: Annotated[int, typer.Option(help="Steps of the optimisation, all scales together.")] = 150,
    seed: Annotated[int, typer.Option(help="Seed of the noise, where a run starts from noise.")] = 0,
    encoder: Annotated[
        str, typer.Option(help="vgg19, pocket (fast, an approximation), vgg19-torchvision, vgg16-torchvision, or a file.")
    ] = "vgg19",
    weight: Annotated[list[str], typer.Option(help="NAME=VALUE: style=2 doubles the style. Repeatable.")] = (),
    start: Annotated[str, typer.Option(help="content, noise, style, or a picture to go on from.")] = "content",
    colors: Annotated[
        str, typer.Option(help="style; the photo's: luminance, oklab, match; only: nothing is painted but the colours.")
    ] = "style",
    stroke: Annotated[float, typer.Option(help="Stroke size: the painting's long side over the picture's.")] = 1.0,
    blend: Annotated[str | None, typer.Option(help="Shares of several paintings, such as 0.7,0.3.")] = None,
    mix: Annotated[str, typer.Option(help="losses, statistics, or scales (fine strokes of the first painting).")] = "losses",
    mask: Annotated[list[str], typer.Option(help="A painting's place: a picture, white is its. Repeatable, in order.")] = (),
    optimizer: Annotated[str, typer.Option(help="lbfgs or adam.")] = "lbfgs",
    system: Annotated[
        str,
        typer.Option(help="gatys; preserve: what matters is kept, and painted; at once: conditional, multiscale_gan, johnson."),
    ] = "gatys",
    checkpoint: Annotated[str | None, typer.Option(help="Of a trained system: the checkpoint to paint with.")] = None,
    guide: Annotated[str | None, typer.Option(help="Map of what matters, for preserve: a picture, white is kept.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto (bf16 where the machine has it), bf16, or fp32.")] = "auto",
):
    """Paint a photo like a painting. Ctrl-C stops early and keeps the picture so far."""
    from nstlab import images
    from nstlab.systems import plan

    images.writable(out)
    options = {
        "size": size, "steps": steps, "seed": seed, "encoder": encoder, "weights": parse_weights(weight), "start": start,
        "colors": colors, "style_scale": stroke, "optimizer": optimizer, "device": device, "precision": precision,
        "blend": parse_blend(blend), "mix": mix, "masks": list(mask) or None, "guide": guide, "checkpoint": checkpoint,
    }  # fmt: skip
    given = {name for name in context.params if context.get_parameter_source(name).name == "COMMANDLINE"}
    options = {name: value for name, value in options.items() if NAMED.get(name, name) in given}
    run = plan(content, style, system=system, **options)
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


def parse_weights(pairs) -> dict[str, float]:
    """{"style": 2.0} from ["style=2"]."""
    found = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise SettingError(f"weight '{pair}': write it as NAME=VALUE, such as style=2") from None
    return found


def parse_blend(text: str | None) -> list[float] | None:
    """[0.7, 0.3] from "0.7,0.3"."""
    try:
        return [float(part) for part in text.split(",")] if text else None
    except ValueError:
        raise SettingError(f"blend '{text}': write numbers with commas between, such as 0.7,0.3") from None


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


@app.command()
def samples():
    """List the sample photos and paintings by name."""
    from nstlab.samples import catalogue

    for sample in catalogue().values():
        print(f"{sample.name:22} {sample.kind:9} {sample.width:4} x {sample.height:<4} {sample.credit} ({sample.licence})")


@app.command()
def doctor():
    """Say what is installed, where it computes, and which weights are here."""
    import torch

    from nstlab.devices import best_device, native_bf16
    from nstlab.encoders.weights import SOURCES

    device = best_device()
    print(f"python {platform.python_version()} on {platform.platform()}")
    for name in ("nstlab", "torch", "torchvision", "numpy", "pillow", "ipywidgets", "jupyterlab", "papermill"):
        print(f"{name:12} {_version(name)}")
    print(f"device       {device}, {torch.get_num_threads()} threads")
    print(f"precision    {'bf16 (native here)' if native_bf16(device) else 'fp32 (no native bf16 here)'}")
    for source in SOURCES.values():
        print(f"weights      {source.name}: {_weights_status(source.name)}")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _weights_status(name: str) -> str:
    from nstlab.encoders.weights import find
    from nstlab.errors import WeightsError

    try:
        return f"here, hash right ({find(name)})"
    except WeightsError as error:
        return str(error)


@weights_app.command("list")
def list_weights():
    """List the pretrained files, with licence and state."""
    from nstlab.encoders.weights import SOURCES

    for source in SOURCES.values():
        print(f"{source.name}: {source.what}; {source.licence}; {_weights_status(source.name)}")


@weights_app.command("get")
def get_weights(name: Annotated[str, typer.Argument(help="A name from `nstlab weights list`.")]):
    """Download a pretrained file."""
    from nstlab.encoders.weights import fetch

    print(fetch(name))


def main() -> None:
    """Entry point: turns every error a user can cause into one sentence, and every warning too."""
    warnings.showwarning = lambda message, *_, **__: print(f"note: {message}", file=sys.stderr)
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False, prog_name="nstlab")
    except NstlabError as error:
        code = _fail(str(error))
    except typer.TyperException as error:
        code = _fail(f"{error.format_message()} (nstlab --help lists the options)")
    except (KeyboardInterrupt, typer.Abort):
        print("nstlab: stopped, nothing was written", file=sys.stderr)
        code = 130
    except torch_out_of_memory() as error:
        code = _fail(f"not enough memory ({str(error).splitlines()[0][:80]}): try a smaller --size")
    sys.exit(code if isinstance(code, int) else 0)


def torch_out_of_memory() -> tuple[type[BaseException], ...]:
    """The errors that mean that memory ran out; torch's only if torch was loaded at all."""
    torch = sys.modules.get("torch")
    return (MemoryError, torch.OutOfMemoryError) if torch else (MemoryError,)


def _fail(message: str) -> int:
    print(f"nstlab: {' '.join(message.split())}", file=sys.stderr)
    return 2
