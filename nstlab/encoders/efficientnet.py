"""EfficientNet-Lite0: a small network trained on the thousand classes of ImageNet, for semantic maps.

Tan & Le 2019; the Lite variant has no squeeze-and-excitation and uses ReLU6. Its classifier is kept for class activation maps
(Zhou et al. 2016), and its features are read at three strides.
"""

import functools

import torch
import torch.nn.functional as F
from torch import nn

from nstlab.encoders import weights
from nstlab.errors import WeightsError

STAGES = (  # (blocks, kernel, stride of the first, expansion, channels out)
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
)  # fmt: skip
TAPS = {4: "stride8", 10: "stride16", 15: "stride32"}  # index of the block after which features are read


class Conv(nn.Module):
    """Convolution with "same" padding as in TensorFlow (more on the right), folded batch norm, and ReLU6 if `active`."""

    def __init__(self, inputs, outputs, kernel, stride=1, groups=1, active=True):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups)
        self.active = active

    def forward(self, x):
        kernel, stride, dilation = self.conv.kernel_size[0], self.conv.stride[0], self.conv.dilation[0]
        reach = dilation * (kernel - 1) + 1
        margins = []
        for side in (x.shape[-1], x.shape[-2]):
            missing = max(0, (-(-side // stride) - 1) * stride + reach - side)
            margins += [missing // 2, missing - missing // 2]
        x = self.conv(F.pad(x, margins) if any(margins) else x)
        return F.relu6(x) if self.active else x


class Block(nn.Module):
    """Inverted residual: expand, depthwise convolution, project; added to the input if the shapes agree."""

    def __init__(self, inputs, outputs, kernel, stride, expansion):
        super().__init__()
        wide = inputs * expansion
        self.layers = nn.Sequential(
            *([Conv(inputs, wide, 1)] if expansion > 1 else []),
            Conv(wide, wide, kernel, stride, groups=wide),
            Conv(wide, outputs, 1, active=False),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.layers(x)
        return x + y if self.residual else y


class Lite0(nn.Module):
    """The frozen network with its batch norms folded into the convolutions.

    `fine` computes the last stages at stride 16 instead of 32 with dilated filters (Chen et al. 2015), which doubles the
    resolution of class activation maps with the same weights. Raises WeightsError if the weights do not fit.
    """

    def __init__(self, state: dict[str, torch.Tensor], fine: bool = True):
        super().__init__()
        self.stem = Conv(3, 32, 3, 2)
        self.blocks = nn.ModuleList()
        inputs = 32
        for count, kernel, stride, expansion, outputs in STAGES:
            for number in range(count):
                self.blocks.append(Block(inputs, outputs, kernel, stride if number == 0 else 1, expansion))
                inputs = outputs
        self.head = Conv(320, 1280, 1)
        self.classifier = nn.Linear(1280, 1000)
        self._fill(state)
        if fine:
            for number, block in enumerate(self.blocks[11:]):
                for layer in block.layers:
                    layer.conv.stride = (1, 1)
                    layer.conv.dilation = (1, 1) if number == 0 else (2, 2)
        self.to(memory_format=torch.channels_last).eval().requires_grad_(False)

    def _fill(self, state):
        names = [("_conv_stem", "_bn0")]
        for number in range(len(self.blocks)):
            prefix = f"_blocks.{number}."
            parts = [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
            names += [(prefix + conv, prefix + norm) for conv, norm in (parts[1:] if number == 0 else parts)]
        names.append(("_conv_head", "_bn1"))
        convs = [module.conv for module in self.modules() if isinstance(module, Conv)]
        try:
            with torch.no_grad():
                for conv, (name, norm) in zip(convs, names, strict=True):
                    gain = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + 1e-3).sqrt()
                    conv.weight.copy_(state[f"{name}.weight"] * gain.view(-1, 1, 1, 1))
                    conv.bias.copy_(state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain)
                self.classifier.weight.copy_(state["_fc.weight"])
                self.classifier.bias.copy_(state["_fc.bias"])
        except (KeyError, RuntimeError) as error:
            raise WeightsError(f"these are not the weights of an EfficientNet-Lite0: {error}") from None

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Features of an image (N, 3, H, W): "stride8", "stride16", "stride32", "head", and "logits" (N, 1000)."""
        features = {}
        image = image.contiguous(memory_format=torch.channels_last)
        x = self.stem((image.float() * 255 - 127) / 128)
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in TAPS:
                features[TAPS[number]] = x
        features["head"] = self.head(x)
        features["logits"] = self.classifier(features["head"].mean((2, 3)))
        return features


@functools.cache
def load_lite0(fine: bool = True) -> Lite0:
    """The network with its trained weights, loaded once. Raises a WeightsError that says how to get them."""
    return Lite0(weights.load_state(weights.find("efficientnet-lite0")), fine)
