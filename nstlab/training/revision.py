"""Training from coarse to fine: a network that paints at several scales, under one objective, against critics of patches.

The network gives its pictures at all its scales (`forward_all`), as a draft and its revisions do (Lin et al. 2021). Critics
after pix2pixHD (Wang et al. 2018), with edge-smoothed paintings (CartoonGAN, Chen et al. 2018) and photos (Sanakoyeu et al.
2018) among what they must not take for real.
"""

from pathlib import Path

import torch

from nstlab.errors import SettingError, check_count, check_weight, choose
from nstlab.losses.adversarial import FORMS, Gate, accuracy, discriminator_loss, edge_smoothed, feature_matching, generator_loss
from nstlab.networks import Ema, MultiscaleDiscriminator
from nstlab.networks.discriminator import smallest_side
from nstlab.pyramid import downsample
from nstlab.training import perceptual
from nstlab.training.augment import varied
from nstlab.training.loop import Training
from nstlab.training.perceptual import PerceptualObjective
from nstlab.training.task import Task, add, check_lr, open_encoder, to_device

DRAFT = 0.5  # what the terms of each coarser picture count against those of the finished one
PHOTOS, SMOOTHED = 1.0, 0.5  # what photos, and paintings with smoothed edges, count for the critic, against made pictures
CRITIC = ("scales", "layers", "width", "norm", "grey")  # options of MultiscaleDiscriminator
WEIGHTS = {"adversarial": 1.0, "matching": 0.0}  # beside those of PerceptualObjective


class CoarseToFine(Task):
    """Train a network with `forward_all`, such as MultiscaleNet or RevisionNet, against a MultiscaleDiscriminator.

    `info` says what builds the `generator` again. Parts of it that are frozen, such as a draft, stay as they are, and their
    pictures are not judged. Each step changes the generator once, and then, while the gate lets it, the critic. For the first
    `warmup_steps` steps the generator does not hear the critic, which learns in the second half of them only: pictures are too
    poor before, and it knows too little to be heard at once. `weights`: names of PerceptualObjective, "adversarial", and
    "matching" (the critic's features have the means that they have on paintings; Salimans et al. 2016).

    Real are the training's `paintings`. If `matched`, these are those that are learned: each photo is painted in the style of
    the painting that its real square is cut from, and the critic is told which that is. With `vary`, photos are varied (see
    augment.py).
    """

    def __init__(
        self, system: str, info: dict, generator, paintings, *, encoder="vgg19", device="auto", critic=None, weights=None,
        lr=1e-3, critic_lr=2e-4, decay=0.998, form="hinge", warmup_steps=100, gate=0.8, matched=False, vary=False, **options,
    ):  # fmt: skip
        names, pictures = paintings
        for name in critic or {}:
            choose("critic option", name, CRITIC)
        for name in weights or {}:
            choose("weight", name, [*perceptual.WEIGHTS, *WEIGHTS])
        own = {name: value for name, value in (weights or {}).items() if name not in WEIGHTS}
        critic = {"scales": 2, "layers": 2, **(critic or {})}
        self.system, self.info, self.generator = system, info, generator
        self.fine, *self.coarser = self._objectives(open_encoder(encoder, device), pictures, own, options)
        game = {name: check_weight(name, (weights or {}).get(name, WEIGHTS[name])) for name in WEIGHTS}
        self.weights = self.fine.weights | game
        for objective in (self.fine, *self.coarser):
            objective.weights = self.weights
        self.style_scale = self.fine.style_scale
        self.settings = {"lr": check_lr(lr), "critic_lr": check_lr(critic_lr), "decay": decay, "critic": critic}
        self.settings |= {"form": form, "warmup_steps": warmup_steps, "gate": gate, **options}
        self.matched, self.vary = matched, vary
        self.critic = MultiscaleDiscriminator(**critic, styles=len(names) if matched else 0).eval()
        self.least = smallest_side(self.critic.critics[0].layers, len(self.critic.critics))
        self.networks = {"generator": self.generator, "critic": self.critic}
        learning = [weight for weight in self.generator.parameters() if weight.requires_grad]
        self.optimizers = {
            "generator": torch.optim.Adam(learning, lr),
            "critic": torch.optim.Adam(self.critic.parameters(), critic_lr, betas=(0.5, 0.999)),
        }
        self.ema, self.gate = Ema(self.generator, decay), Gate(0.0, gate)
        self.kept = {"ema": self.ema, "gate": self.gate}
        self.form, self.warmup_steps, self.views = choose("form", form, FORMS), check_count("warmup_steps", warmup_steps, 0), {}

    def _objectives(self, encoder, pictures, weights, options) -> list[PerceptualObjective]:
        """One for each scale, which keeps the paintings' Gram matrices at its size."""
        return [PerceptualObjective(encoder, pictures, weights, **options) for _ in range(self.generator.scales)]

    def step(self, index: int, batches: list, training: Training) -> dict[str, torch.Tensor]:
        """One change of the generator, and one of the critic if its turn has come."""
        sums: dict[str, torch.Tensor] = {}
        wanted = bool(self.weights["adversarial"] or self.weights["matching"])
        learns, heard = wanted and index >= self.warmup_steps // 2, wanted and index >= self.warmup_steps
        outputs = []
        with training.update("generator") as backward:
            drawn = (training.draw(high, index) for high in (2**31, len(self.info["styles"])))
            for (batch, paintings), seeds, styles in zip(batches, *drawn, strict=True):
                photo, guides = to_device(batch, training.device)
                if self.vary:
                    photo, guides = varied(photo, guides, seeds.tolist())
                real = paintings.images.to(training.device)
                styles = self._shown(paintings).to(styles) if self.matched else styles
                blend = torch.nn.functional.one_hot(styles, len(self.info["styles"])).float()
                pictures = training.wrapped["generator"].forward_all(photo, blend)
                total, terms = self.fine(pictures[-1], photo, blend, guides)
                total = total + DRAFT * self._drafts(pictures[:-1], photo, blend, guides)
                if heard:
                    total, terms = self._play(pictures[-1], real, styles, total, terms)
                backward(total)
                add(sums, {"total": total, **terms}, len(batches))
                outputs.append((photo, real, pictures[-1].detach(), styles))
                self.views = {"photo": photo[:1], "picture": pictures[-1][:1].detach(), "draft": pictures[0][:1].detach()}
        self.ema.update(self.generator)
        return sums | self._criticise(outputs, training, learns)

    def _shown(self, paintings) -> torch.Tensor:
        """The number of the style of each real square, (N,). Raises SettingError for a painting that is none of the styles."""
        names = self.info["styles"]
        found = [Path(name).name.rsplit(".", 1)[0] for name in paintings.names]
        if not set(found) <= set(names):
            raise SettingError(f"the critic of {self.system} is shown the paintings that are learned: leave out --real")
        return torch.tensor([names.index(name) for name in found])

    def _drafts(self, drafts, photo, blend, guides):
        """The objective of each coarser picture that is not frozen, with the photo at its size, added up."""
        total = 0.0
        for objective, draft in zip(self.coarser, reversed(drafts), strict=True):
            photo, guides = downsample(photo), None if guides is None else downsample(guides)
            total = total + objective(draft, photo, blend, guides)[0] if draft.requires_grad else total
        return total

    def _play(self, picture, real, styles, total, terms):
        """The generator's part of the game; the critic's weights are left alone."""
        self.critic.requires_grad_(False)
        judged = self.critic(picture, styles)
        terms = terms | {"adversarial": generator_loss([logits for logits, _ in judged], self.form)}
        if self.weights["matching"]:
            with torch.no_grad():
                seen = self.critic(real, styles)
            terms["matching"] = feature_matching(*([means(features) for _, features in each] for each in (judged, seen)))
        self.critic.requires_grad_(True)
        return total + sum(self.weights[name] * terms[name] for name in WEIGHTS if name in terms), terms

    def _criticise(self, outputs, training, learns: bool) -> dict[str, torch.Tensor]:
        """The critic's loss and accuracy on these pictures; it learns from them if the gate lets it.

        Only the first batch of what it learns from is seen in training mode, so that spectral norm goes on once an update
        (Miyato et al. 2018) and not once a look: batches that add up are one large batch, in one process or in several.
        """
        if not learns:
            return {}
        if self.gate.train_discriminator:
            self.critic.train()
            with training.update("critic") as backward:
                sums = self._judge(training.wrapped["critic"], outputs, backward)
        else:
            with torch.no_grad():
                sums = self._judge(self.critic, outputs, lambda total: None)
        self.gate.update(float(training.fabric.all_reduce(sums["accuracy"], reduce_op="mean")))
        return sums

    def _judge(self, critic, outputs, backward) -> dict[str, torch.Tensor]:
        """Real are the paintings; what must not pass for real: made pictures, and photos and edge-smoothed paintings."""
        sums: dict[str, torch.Tensor] = {}
        for photo, real, made, styles in outputs:
            count = len(real)
            logits = [scale for scale, _ in critic(torch.cat([real, made, photo, edge_smoothed(real)]), styles.repeat(4))]
            self.critic.eval()
            right, wrong, photos, smoothed = ([x[n * count : (n + 1) * count] for x in logits] for n in range(4))
            against = ((1.0, wrong), (PHOTOS, photos), (SMOOTHED, smoothed))
            loss = sum(weight * discriminator_loss(right, fake, self.form) for weight, fake in against)
            backward(loss)
            share = torch.tensor(accuracy(right, wrong, self.form), device=loss.device)
            add(sums, {"critic": loss, "accuracy": share}, len(outputs))
            self.views["judgement"] = logits[0][count : count + 1].detach().sigmoid()
        return sums


def means(features: list[torch.Tensor]) -> list[torch.Tensor]:
    """The mean of each channel (N, C, 1, 1) of every layer: two pictures that are no pair have no more in common."""
    return [each.mean((2, 3), keepdim=True) for each in features]
