"""What every feature transform is: strength, blends of styles, and a style for each region, written once for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nstlab.errors import SettingError
from nstlab.filters import at_size

LEAST_PLACES, MOST_TIMES = 10, 100  # Li et al. 2018: when a region has too few places, or far more than the other side


@dataclass(frozen=True)
class Part:
    """One style of several: what `describe` returned for it, its share, and its region of the content as a map (1, 1, H, W).

    Without a mask it is for all places. Shares of parts that lie over each other add up to 1, or to less, and the rest stays
    the content's. `inside`: the content's own statistics are those inside the mask, not those of all places.
    """

    target: Any
    share: float = 1.0
    mask: torch.Tensor | None = None
    inside: bool = True


class FeatureTransform:
    """Base class: `transform(content, style)` takes features (N, C, h, w) to features of the content's shape.

    `alpha` says how much of the way from the content's features is gone: a number in [0, 1], or a map (1 or N, 1, H, W) of any
    size. alpha 0 gives the content back, and so does a style that is the content. A subclass says what is read from a style
    (`describe`) and what is done with it (`match`); describe a style once to use it often.
    """

    def __init__(self, alpha: float | torch.Tensor = 1.0):
        self.alpha = check_alpha(alpha)

    @property
    def reads(self) -> tuple:
        """What `describe` depends on beside the style: the kind of transform and its numbers but alpha."""
        numbers = {name: value for name, value in vars(self).items() if isinstance(value, (int, float)) and name != "alpha"}
        return type(self).__name__, *sorted(numbers.items())

    def describe(self, style: torch.Tensor, mask: torch.Tensor | None = None) -> Any:
        """What is needed of a style's features (N, C, h, w), inside a mask (1 or N, 1, h, w) where there is one."""
        raise NotImplementedError

    def match(self, content: torch.Tensor, target: Any, mask: torch.Tensor | None = None) -> torch.Tensor:
        """The content's features made like a described style at full strength; `mask`: the places that are made to fit."""
        raise NotImplementedError

    def __call__(self, content, style, *, content_mask=None, style_mask=None) -> torch.Tensor:
        """The transformed features, of the content's shape and type.

        `style` are features (N or 1, C, h, w) of any size. With a `content_mask`, a map (1 or N, 1, H, W) of any size, only the
        places inside change; with a `style_mask` only the style's places inside count. Raises SettingError for a style mask
        that marks no place.
        """
        return self.mix(content, [Part(self.look(style, style_mask), mask=content_mask)])

    def look(self, style: torch.Tensor, mask: torch.Tensor | None = None) -> Any:
        """`describe` with a mask of any size. Raises SettingError for one that marks no place."""
        if mask is None:
            return self.describe(style)
        mask = at_size(mask.to(style.device), tuple(style.shape[-2:]))
        if float(mask.max()) <= 0:
            raise SettingError("the style's mask marks no place: draw a larger region, or leave it out")
        return self.describe(style, mask)

    def mix(self, content: torch.Tensor, parts: Sequence[Part]) -> torch.Tensor:
        """The features matched to several described styles at once: blends, regions, or both.

        Where the parts' shares times their masks add up to more than 1 they are scaled; where they add up to less, the rest is
        the content's features. A region that marks no place of the content at this depth is left out.
        """
        if not torch.is_tensor(self.alpha) and self.alpha == 0:
            return content
        if len(parts) == 1 and parts[0].mask is None and parts[0].share == 1:
            return self._towards(content, self.match(content, parts[0].target))
        size, covered, result = tuple(content.shape[-2:]), 0.0, 0.0
        for part in parts:
            mask = None if part.mask is None else at_size(part.mask.to(content.device), size)
            if part.share == 0 or (mask is not None and float(mask.max()) <= 0):
                continue
            weight = part.share * (content.new_ones(1, 1, 1, 1, dtype=torch.float32) if mask is None else mask)
            result = result + weight * self.match(content, part.target, mask if part.inside else None)
            covered = covered + weight
        if not torch.is_tensor(covered):
            return content
        result = result / covered.clamp_min(1)
        return self._towards(content, result + (1 - covered).clamp_min(0) * content)

    def _towards(self, content: torch.Tensor, matched: torch.Tensor) -> torch.Tensor:
        alpha = self.alpha
        if torch.is_tensor(alpha):
            alpha = at_size(alpha.to(content.device), tuple(content.shape[-2:])).to(matched.dtype)
        return torch.lerp(content.to(matched.dtype), matched, alpha).to(content.dtype)

    def __repr__(self) -> str:
        alpha = f"a map of {tuple(self.alpha.shape[-2:])}" if torch.is_tensor(self.alpha) else f"{self.alpha:g}"
        return f"{type(self).__name__}(alpha {alpha})"


def check_alpha(alpha, name: str = "alpha") -> float | torch.Tensor:
    """A strength: a number in [0, 1], or a map (1 or N, 1, H, W) of them. Raises SettingError, which calls it `name`."""
    if torch.is_tensor(alpha) and alpha.ndim == 4 and alpha.shape[1] == 1:
        if not bool(((alpha >= 0) & (alpha <= 1)).all()):
            raise SettingError(f"{name}: a map of {alpha.min():.3g} to {alpha.max():.3g}; its values lie in [0, 1]")
        return alpha.float()
    try:
        number = float(alpha)
    except (TypeError, ValueError, RuntimeError):
        raise SettingError(f"{name}: give a number in [0, 1] or a map (1, 1, H, W) of them") from None
    if not 0 <= number <= 1:
        raise SettingError(f"{name} {number:g}: give a number from 0 to 1")
    return number


def usable(content_mask: torch.Tensor, style_mask: torch.Tensor) -> bool:
    """Whether two maps of a region, at the places of a layer, are large enough and alike enough in area to be matched.

    Each marks more than 10 places, and neither more than 100 times as many as the other (Li et al. 2018).
    """
    ours, theirs = float(content_mask.sum()), float(style_mask.sum())
    return min(ours, theirs) > LEAST_PLACES and max(ours, theirs) < MOST_TIMES * min(ours, theirs)
