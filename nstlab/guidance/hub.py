"""Large networks for saliency, segments and depth: an optional extra, downloaded on first use."""

import torch
import torch.nn.functional as F
from PIL import Image

from nstlab.encoders.weights import SOURCES
from nstlab.errors import WeightsError
from nstlab.filters import stretch

SALIENCY, SEGMENTER, DEPTH = (SOURCES[name].file for name in ("hub-saliency", "hub-segments", "hub-depth"))


def hub_saliency(image: torch.Tensor) -> torch.Tensor:
    """Map (1, 1, H, W) of what stands out in one picture (1, 3, H, W), by rembg. Raises WeightsError."""
    rembg = _installed("saliency", "rembg")
    session = _loaded("saliency", lambda: rembg.new_session(SALIENCY), "a saliency map")
    array = image[0].mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()
    mask = session.predict(Image.fromarray(array))[0].convert("L").resize((image.shape[-1], image.shape[-2]))
    return torch.frombuffer(bytearray(mask.tobytes()), dtype=torch.uint8).view(1, 1, *image.shape[-2:]).float() / 255


def hub_segments(image: torch.Tensor) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Labels (N, H, W) of pictures (N, 3, H, W) and the names of all labels, by transformers. Raises WeightsError."""
    kinds = _installed("segments", "transformers")
    processor, network = _pair("segments", kinds, "AutoModelForSemanticSegmentation", "labels")
    with torch.no_grad():
        scores = network(**processor(images=list(image.cpu()), return_tensors="pt", do_rescale=False)).logits.float()
    labels = F.interpolate(scores, image.shape[-2:], mode="bilinear", align_corners=False).argmax(1)
    return labels, tuple(network.config.id2label[number] for number in range(scores.shape[1]))


def hub_depth(image: torch.Tensor) -> torch.Tensor:
    """Nearness (N, 1, H, W) of pictures (N, 3, H, W), by transformers. Raises WeightsError."""
    kinds = _installed("depth", "transformers")
    processor, network = _pair("depth", kinds, "AutoModelForDepthEstimation", "a depth map")
    with torch.no_grad():
        found = network(**processor(images=list(image.cpu()), return_tensors="pt", do_rescale=False)).predicted_depth.float()
    return stretch(F.interpolate(found.view(len(image), 1, *found.shape[-2:]), image.shape[-2:], mode="bilinear"))


def _installed(task: str, package: str):
    """The imported package. Raises a WeightsError that says how to install it."""
    try:
        return __import__(package)
    except ImportError:
        source = SOURCES[f"hub-{task}"]
        raise WeightsError(f"{source.what} are an optional extra that is not installed: {source.get}") from None


def _pair(task: str, kinds, kind: str, own: str):
    name = SOURCES[f"hub-{task}"].file
    load = lambda: (kinds.AutoImageProcessor.from_pretrained(name), getattr(kinds, kind).from_pretrained(name).eval())
    return _loaded(task, load, own)


def _loaded(task: str, load, own: str):
    """The result of `load()`. Raises WeightsError if the download fails; `own` names what can be given instead."""
    try:
        return load()
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise WeightsError(
            f"the network {SOURCES[f'hub-{task}'].file} could not be loaded ({reason}):"
            f" connect to the network once, or hand in {own} of your own"
        ) from None
