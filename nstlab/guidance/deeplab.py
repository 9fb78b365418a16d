"""DeepLabV3 (Chen et al. 2017) on MobileNetV3: the 21 classes of Pascal VOC by name, downloaded on first use."""

import torch
import torch.nn.functional as F

from nstlab.encoders import weights
from nstlab.errors import WeightsError
from nstlab.filters import shrink

DEEPLAB = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table",
    "dog", "horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train", "television",
)  # fmt: skip


@torch.no_grad()
def deeplab_labels(picture: torch.Tensor) -> torch.Tensor:
    """Labels (1, H, W) of one picture (1, 3, H, W): numbers of `DEEPLAB`. Raises WeightsError."""
    network = load_deeplab()
    small = shrink(picture, 520)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    scores = network((small - mean) / std)["out"]
    return F.interpolate(scores, picture.shape[-2:], mode="bilinear", align_corners=False).argmax(1)


def load_deeplab():
    """torchvision's DeepLabV3 on MobileNetV3, downloaded on first use. Raises WeightsError where that fails."""
    models = weights.import_torchvision().models.segmentation
    pretrained = models.DeepLabV3_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1
    try:
        state = pretrained.get_state_dict(check_hash=True, progress=False)
    except (OSError, RuntimeError) as error:
        reason = str(error).strip("<>") or type(error).__name__
        raise WeightsError(
            f"the weights of deeplab could not be downloaded ({reason}):"
            " connect to the network once, or take method='semantic', which needs none"
        ) from None
    network = models.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)
