"""From the names of a system and two sets of pictures to a Training made ready."""

import re
from pathlib import Path

import torch

from nstlab.data import Coco, Files, Folder, Samples, apart, open_pictures
from nstlab.errors import SettingError, check_seed, choose
from nstlab.guidance.saliency import saliency
from nstlab.options import plain
from nstlab.systems import registry
from nstlab.training import checkpoints
from nstlab.training.distributed import own_device
from nstlab.training.loop import Training

GUIDES = ("saliency", "none")


def training(
    system: str, content="samples", style="samples", *, real=None, annotations=None, guides="saliency", seed: int = 0,
    folder=None, device: str = "auto", encoder="vgg19", weights: dict[str, float] | None = None, style_scale: float = 1.0,
    k: float = 8.0, lr: float = 1e-3, network: dict | None = None, task: dict | None = None, init_from=None,
    hold_out: bool = False, **options,
) -> Training:  # fmt: skip
    """A training of `system` (one of `registry.trainable()`) made ready: iterate it.

    `content` are the photos and `style` the paintings to learn: folders, files, sample names, or "samples". `real` are the
    paintings that critics take for real (those of `style` if None). `guides` say what is kept: "saliency", "none", or a
    function from image to map; with `annotations`, an instances file of MS-COCO, the photos' own outlines go before it.
    `encoder` is a name, or an encoder. `weights`, `style_scale` and `k` are those of PerceptualObjective, `lr` the learning
    rate, `network` the options of the network, `task` further ones of the system's task, such as {"warmup_steps": 20}.
    With `hold_out` it sees no photo that is one of the samples under another name, and every tenth is kept apart
    (`data.apart`); a system that learns from photos only takes neither paintings nor guides.
    `init_from` is a checkpoint of the same system and styles: its averaged weights are the first ones, and may lie in fewer
    residual blocks. `options` are those of Training. Raises NstlabError.
    """
    method = registry.load(choose("trainable system", system, registry.trainable()))
    photos = Coco(content, annotations) if annotations else open_pictures(content, "photo")
    notes, critics, given = [], None, {"weights": weights, "lr": lr, "network": network, **(task or {})}
    source = {"content": content, "style": style, "real": real, "annotations": annotations, "encoder": plain(encoder)}
    if hold_out:
        photos, held = apart(photos)
        notes.append(f"{len(photos)} photos to learn from, {len(held)} held out")
    if method.photos_only:
        guides, seen = "none", ()
        source = {"content": content}
    else:
        paintings, note = _paintings(system, style, method.most_styles)
        notes += [note] if note else []
        critics = (open_pictures(real, "painting") if real else paintings) if method.critic else None
        seen = ((_style_names(paintings), [paintings.load(number) for number in range(len(paintings))]),)
        given |= {"encoder": encoder, "device": own_device(device), "style_scale": style_scale, "k": k}
    with torch.random.fork_rng():
        torch.manual_seed(check_seed(seed))
        learned = method.task(*seen, **given)
    before = {} if init_from is None else {"init_from": str(init_from), "before": _init_from(learned, init_from)}
    find = guides if callable(guides) else {"saliency": _saliency, "none": None}[choose("guides", guides, GUIDES)]
    source = {key: value and str(value) for key, value in source.items()} | before
    source["guides"] = guides.__qualname__ if callable(guides) else guides
    made = Training(learned, photos, critics, seed=seed, guides=find, folder=folder, device=device, source=source, **options)
    for note in notes:
        made.note(note)
    return made


def _init_from(learned, checkpoint) -> int:
    """Give a task a checkpoint's averaged weights; returns how many steps these have seen.

    Blocks that the checkpoint lacks add nothing at first: the norm at the end of each scales by 0 (Goyal et al. 2017). Raises
    WeightsError, SettingError.
    """
    tensors, info = checkpoints.read(checkpoint)
    for key, wanted in {"system": learned.system, "styles": learned.info.get("styles")}.items():
        found = info.get(key, info["network"].get(key))
        if found != wanted:
            raise SettingError(f"{checkpoint} has {key} {found}, not {wanted}: start from one that has the same")
    state = checkpoints.part(tensors, "ema")
    for key, fresh in learned.generator.state_dict().items():
        if key not in state and ".blocks." in key:
            state[key] = torch.zeros_like(fresh) if re.search(r"blocks\.\d+\.norm\.", key) else fresh
    checkpoints.fill(learned.generator, state, checkpoint)
    learned.ema.module.load_state_dict(learned.generator.state_dict())
    return info.get("step", 0) + info.get("settings", {}).get("before", 0)


def _saliency(image: torch.Tensor) -> torch.Tensor:
    return saliency(image).map


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
