"""VGG-16 and VGG-19 without their classifier (Simonyan & Zisserman 2014), frozen."""

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

from nstlab import images
from nstlab.encoders.base import Encoder, conv_relu
from nstlab.errors import WeightsError, choose

BLOCKS = {16: (2, 2, 4, 4, 4), 13: (2, 2, 3, 3, 3)}  # convolutions per block of VGG-19 and VGG-16
CAFFE = ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255,) * 3)  # mean, std of the original weights' input
TORCHVISION = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class VGG(Encoder):
    """VGG by layer name (see Encoder for `scales`, `pooling`, `precision`).

    `convs` are (weight OIHW, bias) of the 16 or 13 convolutions, for RGB input normalised by `normalisation` = (mean, std).
    `padding` "reflect" avoids a frame along the border; VGG was trained with "zeros". Raises WeightsError for another number
    of convolutions.
    """

    def __init__(self, convs, normalisation=CAFFE, scales=None, *, name="vgg", padding="reflect", **options):
        if len(convs) not in BLOCKS:
            raise WeightsError(f"{len(convs)} convolutions are those of no VGG known here: VGG-19 has 16, VGG-16 has 13")
        blocks = BLOCKS[len(convs)]
        self.layers = tuple(f"relu{b}_{i}" for b, count in enumerate(blocks, 1) for i in range(1, count + 1))
        self.channels = {layer: len(weight) for layer, (weight, _) in zip(self.layers, convs, strict=True)}
        super().__init__(name, scales=scales, **options)
        self.padding = choose("padding", padding, ("reflect", "zeros"))
        mean, std = (torch.tensor(values, device=self.device).view(1, 3, 1, 1) for values in normalisation)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        before = 1.0
        for layer, (weight, bias) in zip(self.layers, convs, strict=True):
            after = self.scales[layer]  # ReLU and pooling commute with scaling, so it folds into the weights
            weight = (weight * (before / after)).to(self.device, self.dtype)
            self.register_buffer(f"{layer}_weight", weight.contiguous(memory_format=torch.channels_last))
            self.register_buffer(f"{layer}_bias", (bias / after).to(self.device, self.dtype))
            before = after

    def normalize(self, image):
        return (image - self.mean) / self.std

    def convolve(self, x, layer):
        weight, bias = getattr(self, f"{layer}_weight"), getattr(self, f"{layer}_bias")
        mirrored = self.padding == "reflect"
        if mirrored and min(x.shape[-2:]) < 2:  # nothing to mirror
            return conv_relu(images.pad(x, (1, 1, 1, 1)), weight, bias)
        return _FrozenConv.apply(x, weight, bias, mirrored)


class _FrozenConv(torch.autograd.Function):
    """Padding, 3x3 convolution and ReLU that save only their output for the gradient.

    Autograd would also save the padded input, a third more memory, which frozen weights do not need.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, mirrored):
        ctx.mirrored, ctx.shape = mirrored, x.shape
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect") if mirrored else x
        y = conv_relu(padded, weight, bias, 0 if mirrored else 1)
        ctx.save_for_backward(y, weight)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        y, weight = ctx.saved_tensors
        count, channels, height, width = ctx.shape

        def unwritten(*shape):  # stands for the input: only its shape and layout are looked at
            return torch.empty(shape, dtype=y.dtype, device=y.device, memory_format=torch.channels_last)

        margin = 1 if ctx.mirrored else 0
        gradient = torch.ops.aten.threshold_backward(gradient, y, 0)
        gradient = torch.ops.aten.convolution_backward(
            gradient, unwritten(count, channels, height + 2 * margin, width + 2 * margin), weight, None,
            [1, 1], [1 - margin] * 2, [1, 1], False, [0, 0], 1, [True, False, False],
        )[0]  # fmt: skip
        if ctx.mirrored and gradient.is_cuda:  # ATen's is not the same each time there
            gradient = images.pad_gradient(gradient, (1, 1, 1, 1))
        elif ctx.mirrored:
            image = unwritten(count, channels, height, width)
            gradient = torch.ops.aten.reflection_pad2d_backward(gradient, image, [1] * 4)
        return gradient, None, None, None
