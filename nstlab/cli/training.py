"""The commands that train networks and pass them on: `nstlab train` and `nstlab slim`."""

import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from nstlab.errors import DivergedError, SettingError, choose


def train(
    system: Annotated[str, typer.Argument(help="A system whose network is trained (see `nstlab systems`), or decoder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for last.safetensors and log.csv.")],
    content: Annotated[list[str], typer.Option(help="The photos: a folder, or samples. Repeatable.")] = ("samples",),
    style: Annotated[
        list[str], typer.Option(help="The paintings to learn, or to draw styles from: a folder, files, names, or samples.")
    ] = ("samples",),
    leave_out: Annotated[
        str | None, typer.Option(help="A folder, or samples: pictures that show the same as these are not trained on.")
    ] = None,
    hold_out: Annotated[bool, typer.Option("--hold-out", help="Every tenth photo is kept apart, to judge by.")] = False,
    validation: Annotated[
        int, typer.Option(help="So many photos kept apart to judge by, by the hash of their files; validation.txt names them.")
    ] = 0,
    real: Annotated[
        str | None, typer.Option(help="Folder of paintings that the critic takes for real; else those of --style.")
    ] = None,
    annotations: Annotated[str | None, typer.Option(help="MS-COCO instances file: its outlines are guides.")] = None,
    guides: Annotated[
        str, typer.Option(help="What is kept: importance or saliency (found once a photo), or none.")
    ] = "importance",
    steps: Annotated[int, typer.Option(help="Steps in all.")] = 1000,
    size: Annotated[int, typer.Option(help="Side of the training crops in pixels.")] = 256,
    batch: Annotated[int, typer.Option(help="Pictures a step, over all processes.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of weights, pictures and styles.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder's checkpoint, if there is one.")] = False,
    save_every: Annotated[int, typer.Option(help="Steps between two checkpoints.")] = 200,
    weight: Annotated[list[str], typer.Option(help="NAME=VALUE: style=60 sets the weight of the style. Repeatable.")] = (),
    lr: Annotated[float | None, typer.Option(help="Learning rate, at its height.  [default: 0.001; any style: 0.0003]")] = None,
    style_scale: Annotated[float, typer.Option(help="Stroke size: the painting's long side over the crop's.")] = 1.0,
    encoder: Annotated[str, typer.Option(help="vgg19, or pocket: nearly three times as fast, an approximation.")] = "vgg19",
    accumulate: Annotated[int, typer.Option(help="Batches that one step adds up.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes that prepare pictures.")] = 0,
    progressive: Annotated[bool, typer.Option("--progressive", help="The first half of the steps at half the size.")] = False,
    precision: Annotated[str, typer.Option(help="fp32, or bf16 (mixed).")] = "fp32",
    blocks: Annotated[int | None, typer.Option(help="Residual blocks of the network.  [default: 4; a revision: 3]")] = None,
    network: Annotated[
        list[str], typer.Option(help="NAME=VALUE of the network, such as upsampling=wavelet of a decoder. Repeatable.")
    ] = (),
    init_from: Annotated[Path | None, typer.Option(help="A checkpoint of the same system and styles to start from.")] = None,
    warmup_steps: Annotated[int | None, typer.Option(help="With a critic: steps before it is heard.  [default: 100]")] = None,
    critic: Annotated[list[str], typer.Option(help="With a critic: NAME=VALUE of it, such as layers=3. Repeatable.")] = (),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, or mps.")] = "auto",
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard's logs too.")] = False,
):
    """Train a network that paints in one pass, or one that such systems use.

    Ctrl-C ends it with a checkpoint; --resume goes on. Runs under torchrun.
    """
    from nstlab.options import weights_of
    from nstlab.systems import registry
    from nstlab.systems.train import NETWORKS, trainable, training

    game = parse_critic(critic) | ({} if warmup_steps is None else {"warmup_steps": warmup_steps})
    if game and (choose("trainable system", system, trainable()) in NETWORKS or not registry.load(system).critic):
        raise SettingError(f"{system} has no critic: leave out --warmup-steps and --critic")
    named = parse_values("network", network) | ({} if blocks is None else {"blocks": blocks})
    one_or_all = lambda sources: list(sources) if len(sources) > 1 else sources[0]
    made = training(
        system, one_or_all(content), one_or_all(style), real=real, left_out=leave_out, hold_out=hold_out, validation=validation,
        annotations=annotations, guides=guides, seed=seed, folder=out, device=device, encoder=encoder,
        weights=weights_of(weight), lr=lr, style_scale=style_scale, steps=steps, size=size, batch=batch,
        accumulate=accumulate, workers=workers, progressive=progressive, save_every=save_every, resume=resume,
        precision=precision, tensorboard=tensorboard, init_from=init_from, task=game,
        network=named or None,
    )  # fmt: skip
    run(made)


def run(made) -> None:
    """Go through a Training with its progress on stderr; ends with exit code 130 where it was stopped. Raises SettingError."""
    talks = made.rank == 0
    for note in made.notes if talks else ():
        print(f"note: {note}", file=sys.stderr)
    if made.done >= made.steps:
        print(f"{made.checkpoint} has its {made.done} steps already: ask for more with --steps", file=sys.stderr)
        return
    try:
        with _stopping(made):
            for _ in _progress(made, talks):
                pass
    except DivergedError as error:
        where = f" in {made.checkpoint}" if made.checkpoint.exists() else ""
        raise SettingError(f"{error}{where}") from None
    if talks:
        print(made.checkpoint)
    if made.done < made.steps:
        print(f"stopped at step {made.done} of {made.steps}: go on with --resume", file=sys.stderr)
        raise typer.Exit(130)


def parse_critic(pairs) -> dict:
    """{"critic": {"norm": "instance", "layers": 3}, "critic_lr": 0.001} from ["norm=instance", "layers=3", "lr=0.001"]."""
    found = parse_values("critic", pairs)
    game = {key: found.pop(name) for name, key in (("lr", "critic_lr"), ("gate", "gate")) if name in found}
    return game | ({"critic": found} if found else {})


def parse_values(kind: str, pairs) -> dict:
    """{"norm": "instance", "layers": 3} from ["norm=instance", "layers=3"]; values are JSON, or text."""
    found = {}
    for pair in pairs:
        name, _, value = (part.strip() for part in pair.partition("="))
        if not (name and value):
            raise SettingError(f"{kind} '{pair}': write it as NAME=VALUE, such as norm=instance")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


@contextlib.contextmanager
def _stopping(made):
    """Ctrl-C, or a cluster's SIGTERM, ends the training after its step; the second one at once."""

    def handle(number, frame):
        if made.stopping:
            raise KeyboardInterrupt
        made.stop()
        print("\nstopping after this step (Ctrl-C again: at once)", file=sys.stderr)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _progress(made, talks: bool):
    from tqdm import tqdm

    bar = tqdm(total=made.steps, initial=made.done, file=sys.stderr, disable=not (talks and sys.stderr.isatty()), leave=False)
    with bar:
        for step in made:
            bar.set_description_str(f"{step.scale} px, loss {step.total:.3g}", refresh=False)
            bar.update()
            yield step


def slim(
    checkpoint: Annotated[Path, typer.Argument(help="A training's last.safetensors.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write (.safetensors, or .onnx).")],
    size: Annotated[int, typer.Option(help="Side in pixels of the pictures that an .onnx file is traced with.")] = 256,
):
    """Write what painting needs of a checkpoint: averaged weights in half precision, or an ONNX file."""
    from nstlab.systems import checkpoint as checkpoint_files
    from nstlab.systems import onnx

    if out.suffix == ".onnx":
        print(onnx.export_onnx(checkpoint, out, size))
    elif out.suffix == ".safetensors":
        print(checkpoint_files.slim(checkpoint, out))
    else:
        raise SettingError(f"{out}: name the file .safetensors or .onnx")
