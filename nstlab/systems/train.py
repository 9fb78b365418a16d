"""From the names of a system and two sets of pictures to a Training made ready."""

import re
from pathlib import Path

import torch

from nstlab.data import Coco, Files, Folder, Joined, Samples, every_tenth, kept_apart, leave_out, open_pictures
from nstlab.errors import ImageError, SettingError, check_seed, choose
from nstlab.files import atomic_write, expanded
from nstlab.guidance.importance import importance
from nstlab.guidance.saliency import saliency
from nstlab.options import plain
from nstlab.systems import registry
from nstlab.training import checkpoints
from nstlab.training.decoder import Reconstruction
from nstlab.training.distributed import own_device
from nstlab.training.loop import Training
from nstlab.training.pairs import style_pictures

NETWORKS = {"decoder": Reconstruction}  # trained for systems to use: they paint nothing by themselves


def _importance(image: torch.Tensor) -> torch.Tensor:
    return importance(image).map


def _saliency(image: torch.Tensor) -> torch.Tensor:
    return saliency(image).map


def _nothing(image: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(image[:, :1])


GUIDES = {"importance": _importance, "saliency": _saliency, "none": None}


def trainable() -> list[str]:
    """The names of what can be trained: systems, and networks that systems use."""
    return [*registry.trainable(), *NETWORKS]


def training(
    system: str, content="samples", style="samples", *, real=None, annotations=None, guides="importance", left_out=None,
    seed: int = 0, folder=None, device: str = "auto", encoder="vgg19", weights: dict[str, float] | None = None,
    style_scale: float = 1.0, k: float = 0.0, lr: float | None = None, network: dict | None = None, task: dict | None = None,
    init_from=None, hold_out: bool = False,
    validation: int = 0, **options,
) -> Training:  # fmt: skip
    """A training of `system` (one of `trainable()`) made ready: iterate it.

    `content` are the photos and `style` the paintings to learn, or for a system that paints like any painting to draw
    styles from beside the photos: folders, files, sample names, or "samples". Pictures that show the same as those in
    `left_out` are not trained on, and with `hold_out` every tenth photo is kept apart (`data.every_tenth`). So many photos as
    `validation` says are kept apart to judge by (`data.kept_apart`), and what shows the same is not trained on either; the
    folder's validation.txt names their files. `real` are the paintings that critics take for real (those of `style` if None).
    `guides` say what is kept where styles are learned: "importance", "saliency", "none", or a function from image to map; with
    `annotations`, an instances file of MS-COCO, the outlines that it has for some of the photos go before it. `encoder` is a
    name, or an encoder. `weights` are those of the task, `style_scale` and `k` those of PerceptualObjective, `lr` the
    learning rate (None: the task's own), `network` the options of the network, `task` further ones of the task, such as
    {"warmup_steps": 20}. `init_from` is a checkpoint of the same system and styles, or of the same decoder: its averaged
    weights are the first ones, and may lie in fewer residual blocks.
    `options` are those of Training. Raises NstlabError.
    """
    method = None if choose("trainable system", system, trainable()) in NETWORKS else registry.load(system)
    learns = method is not None and method.styles == "learned"
    pairs = method is not None and not method.photos_only
    photos = _outlined(content, annotations) if annotations else open_pictures(content, "photo")
    photos = every_tenth(photos)[0] if hold_out else photos
    paintings, note = _paintings(system, style, method.most_styles) if pairs else (None, None)
    notes, others = [note], left_out and _known(left_out)
    if others:
        (photos, *said), (paintings, *more) = (leave_out(each, others) if each else (None,) for each in (photos, paintings))
        notes += [*said, *more]
    if validation:
        photos, apart = kept_apart(photos, validation)
        photos, said = leave_out(photos, apart)  # others that show the same
        notes.append(said)
    common = {"encoder": encoder, "device": own_device(device), "weights": weights, "network": network, **(task or {})}
    common |= {} if lr is None else {"lr": lr}
    with torch.random.fork_rng():
        torch.manual_seed(check_seed(seed))
        if learns:
            pictures = [paintings.load(number) for number in range(len(paintings))]
            learned = method.task((_style_names(paintings), pictures), style_scale=style_scale, k=k, **common)
            second = (open_pictures(real, "painting") if real else paintings) if method.critic else None
        else:
            learned = method.task(**common) if method else NETWORKS[system](photos, **common)
            second = style_pictures(paintings, photos) if pairs else None
    before = {} if init_from is None else {"init_from": str(init_from), "before": _init_from(learned, init_from)}
    guides = guides if learns else "none"
    find = guides if callable(guides) else GUIDES[choose("guides", guides, GUIDES)]
    find = find or (_nothing if learns and annotations else None)  # a photo without outlines has nothing to keep
    source = {"content": content, "style": style, "real": real, "annotations": annotations, "encoder": plain(encoder)}
    source |= {"left_out": left_out} if left_out else {}
    source |= {"validation": validation} if validation else {}
    source = {key: value and str(value) for key, value in source.items()} | before
    source["guides"] = guides.__qualname__ if callable(guides) else guides
    made = Training(learned, photos, second, seed=seed, guides=find, folder=folder, device=device, source=source, **options)
    for note in filter(None, notes):
        made.note(note)
    if validation and made.folder is not None and made.rank == 0:
        with atomic_write(made.folder / "validation.txt") as temporary:
            temporary.write_text("".join(f"{expanded(path).absolute()}\n" for path in apart.paths), encoding="utf-8")
    return made


def _outlined(content, annotations) -> Files:
    """Photos with the outlines that a file of COCO instances has for some of them. Raises ImageError if it has none for any."""
    parts, errors = [], []
    for part in content if isinstance(content, (list, tuple)) else [content]:
        try:
            parts.append(Coco(part, annotations))
        except ImageError as error:
            errors.append(error)
            parts.append(open_pictures(part, "photo"))
    if len(errors) == len(parts):
        raise errors[0]
    return parts[0] if len(parts) == 1 else Joined(parts)


def _known(source) -> Files:
    """The pictures that are not to be trained on; "samples" are the photos and the paintings."""
    parts = [open_pictures(source, kind) for kind in (("photo", "painting") if str(source) == "samples" else ("photo",))]
    return Files([name for part in parts for name in part.names], [path for part in parts for path in part.paths])


def _init_from(learned, checkpoint) -> int:
    """Give a task a checkpoint's averaged weights; returns how many steps these have seen.

    Blocks that the checkpoint lacks add nothing at first: the norm at the end of each scales by 0 (Goyal et al. 2017). Raises
    WeightsError, SettingError.
    """
    tensors, info = checkpoints.read(checkpoint)
    same = {"system": learned.system, "styles": learned.info["styles"]} if "styles" in learned.info else learned.info
    for key, wanted in same.items():
        found = info["network"].get(key, info.get(key))
        if found != wanted:
            raise SettingError(f"{checkpoint} has {key} {found}, not {wanted}: start from one that has the same")
    state, network = checkpoints.part(tensors, "ema"), next(iter(learned.networks.values()))
    for key, fresh in network.state_dict().items():
        if key not in state and ".blocks." in key:
            state[key] = torch.zeros_like(fresh) if re.search(r"blocks\.\d+\.norm\.", key) else fresh
    checkpoints.fill(network, state, checkpoint)
    learned.ema.module.load_state_dict(network.state_dict())
    learned.fresh = False
    return info.get("step", 0) + info.get("settings", {}).get("before", 0)


def _paintings(system: str, style, most: int | None):
    """The set of paintings to learn, at most so many, and a note if some were left out. Raises SettingError, ImageError."""
    found = open_pictures(style, "painting")
    if not most or len(found) <= most:
        return found, None
    said = f"{system} learns one painting, and {style} holds {len(found)}"
    if not isinstance(found, (Samples, Folder)):
        raise SettingError(f"{said}: name one of them")
    return Files(found.names[:1], found.paths[:1]), f"{said}: it learns {found.names[0]}; name another file to choose"


def _style_names(paintings) -> list[str]:
    """What each painting is called: its file name without ending. Raises SettingError where two are called the same."""
    names = [Path(path).name.rsplit(".", 1)[0] for path in paintings.names]
    for called in names:
        if names.count(called) > 1:
            raise SettingError(f"two paintings are called {called}: rename one, as styles go by these names")
    return names
