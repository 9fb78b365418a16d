"""The `nstlab` command. Whatever goes wrong is one sentence on stderr and exit code 2."""

import os
import platform
import sys
from importlib import metadata
from typing import Annotated

import typer

from nstlab.cli import sweep as cli_sweep
from nstlab.cli import training as cli_training
from nstlab.cli.console import ConsoleError, console
from nstlab.errors import NstlabError
from nstlab.files import reason

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, help="Neural style transfer.")
weights_app = typer.Typer(rich_markup_mode=None, help="Pretrained files: which there are, and how to get them.")
app.add_typer(weights_app, name="weights")
app.command()(cli_training.train)
app.command()(cli_training.slim)
app.command()(cli_sweep.sweep)
app.command()(cli_sweep.recipe)


@app.command()
def systems():
    """List the systems: paper, idea, cost, and the styles they take."""
    from nstlab.systems import registry

    for name in registry.names():
        system = registry.load(name)
        print(f"{name}: {system.paper}\n    {system.idea}\n    cost: {system.cost}; styles: {system.styles}")


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
    from nstlab.encoders.weights import SOURCES, find
    from nstlab.errors import WeightsError

    if SOURCES[name].kind == "hub" and _version(SOURCES[name].package) != "not installed":
        return f"downloaded when first used, by {SOURCES[name].package}"
    try:
        return f"here, hash right ({find(name)})"
    except WeightsError as error:
        return str(error)


@weights_app.command("list")
def list_weights():
    """List the pretrained files, with licence, size and state."""
    from nstlab.encoders.weights import SOURCES

    for source in SOURCES.values():
        print(f"{source.name}: {source.what}; {source.licence}; {source.size} MB; {_weights_status(source.name)}")


@weights_app.command("get")
def get_weights(name: Annotated[str, typer.Argument(help="A name from `nstlab weights list`.")]):
    """Download a pretrained file."""
    from nstlab.encoders.weights import fetch

    print(fetch(name))


def main() -> None:
    """Entry point: turns every error a user can cause into one sentence, and every warning too."""
    with console():
        code = _run()
    sys.exit(code)


def _run() -> int:
    """Run the command; returns its exit code."""
    try:
        app.command("stylize")(_stylize(sys.argv[1:]))
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False, prog_name="nstlab")
        sys.stdout.flush()
    except ConsoleError as error:
        code = 141 if error.closed else _fail(str(error))  # 141: as a program that SIGPIPE ends, which says nothing
    except NstlabError as error:
        code = _fail(str(error))
    except typer.TyperException as error:
        code = _fail(f"{error.format_message()} (nstlab --help lists the options)")
    except (KeyboardInterrupt, typer.Abort):
        print("nstlab: stopped, nothing was written", file=sys.stderr)
        code = 130
    except OSError as error:
        if error.filename is None:
            raise
        code = _fail(str(NstlabError(f"{os.fsdecode(error.filename)} cannot be used: {reason(error)}")))
    except (RuntimeError, MemoryError) as error:
        if not _out_of_memory(error):
            raise
        code = _fail("there is not enough memory for this: try a smaller --size, or close other programs")
    return code if isinstance(code, int) else 0


def _stylize(arguments: list[str]):
    """The command with the options of the system that is asked for; for other commands, what `nstlab --help` says of it."""
    if arguments[:1] != ["stylize"]:

        def listed():
            """Paint a photo like a painting."""

        return listed
    from nstlab.cli import stylize
    from nstlab.systems import registry

    return stylize.command(registry.load(stylize.system_named(arguments[1:])))


def _out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: Python's, CUDA's, or what torch's CPU allocator says in a RuntimeError."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in said or "can't allocate memory" in said


def _fail(message: str) -> int:
    print(f"nstlab: {' '.join(message.split())}", file=sys.stderr)
    return 2
