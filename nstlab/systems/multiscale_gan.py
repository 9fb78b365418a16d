"""The survey's proposed system: multi-scale painting, protection of what matters, and a critic that keeps results realistic.

Paper:  "Enhancing Neural Style Transfer for Multi-Style and Semantic Preservation" names these parts and gives no equation.
        Draft and revisions after LapStyle (Lin et al. 2021); critics after pix2pixHD (Wang et al. 2018), with edge-smoothed
        paintings (CartoonGAN, Chen et al. 2018) and photos (Sanakoyeu et al. 2018) among what they must not take for real.
Idea:   a network paints from coarse to fine under the losses of preserve, and must also pass, patch by patch, for a painting.
What we changed: all scales are trained at once; a gate on the critic's success rate replaces tuning of its learning rate.
Cost:   a training of hours on a CPU; then about a tenth of a second a picture.
"""

from functools import partial

import torch

from nstlab.errors import check_count, check_weight, choose
from nstlab.losses.adversarial import FORMS, Gate, accuracy, discriminator_loss, edge_smoothed, feature_matching, generator_loss
from nstlab.networks import Ema, MultiscaleDiscriminator, MultiscaleNet
from nstlab.networks.discriminator import smallest_side
from nstlab.pyramid import downsample
from nstlab.systems.checkpoint import describe
from nstlab.systems.registry import System
from nstlab.systems.trained import BlendOptions, plan
from nstlab.training import perceptual
from nstlab.training.loop import Training
from nstlab.training.perceptual import PerceptualObjective
from nstlab.training.task import Task, add, check_lr, open_encoder, to_device

DRAFT = 0.5  # what the terms of each coarser picture count against those of the finished one
PHOTOS, SMOOTHED = 1.0, 0.5  # what photos, and paintings with smoothed edges, count for the critic, against made pictures
CRITIC = ("scales", "layers", "width", "norm", "grey")  # options of MultiscaleDiscriminator
WEIGHTS = {"adversarial": 1.0, "matching": 0.0}  # beside those of PerceptualObjective


def task(paintings, **options) -> "MultiscaleGan":
    """The training of one network on one or several paintings: (names, images); `options` are those of MultiscaleGan."""
    return MultiscaleGan(paintings, **options)


class MultiscaleGan(Task):
    """A MultiscaleNet against a MultiscaleDiscriminator whose real pictures are the training's `paintings`.

    Each step changes the generator once, and then, while the gate lets it, the critic. For the first `warmup_steps` steps the
    generator does not hear the critic, which learns in the second half of them only: pictures are too poor before, and it
    knows too little to be heard at once. `weights`: names of PerceptualObjective, "adversarial", and "matching" (feature
    matching to the paintings).
    """

    system = "multiscale_gan"

    def __init__(
        self, paintings, *, encoder="vgg19", device="auto", network=None, critic=None, weights=None, lr=1e-3,
        critic_lr=2e-4, decay=0.998, form="hinge", warmup_steps=100, gate=0.8, **options,
    ):  # fmt: skip
        names, pictures = paintings
        for name in critic or {}:
            choose("critic option", name, CRITIC)
        for name in weights or {}:
            choose("weight", name, [*perceptual.WEIGHTS, *WEIGHTS])
        own = {name: value for name, value in (weights or {}).items() if name not in WEIGHTS}
        network, critic = {"scales": 2, **(network or {})}, {"scales": 2, "layers": 2, **(critic or {})}
        encoder = open_encoder(encoder, device)
        self.fine = PerceptualObjective(encoder, pictures, own, **options)
        self.coarser = [PerceptualObjective(encoder, pictures, own, **options) for _ in range(network["scales"] - 1)]
        game = {name: check_weight(name, (weights or {}).get(name, WEIGHTS[name])) for name in WEIGHTS}
        self.weights = self.fine.weights | game
        for objective in (self.fine, *self.coarser):
            objective.weights = self.weights
        self.style_scale = self.fine.style_scale
        self.info = describe("MultiscaleNet", names, network)
        self.settings = {"lr": check_lr(lr), "critic_lr": check_lr(critic_lr), "decay": decay, "critic": critic}
        self.settings |= {"form": form, "warmup_steps": warmup_steps, "gate": gate, **options}
        self.generator, self.critic = MultiscaleNet(len(names), **network), MultiscaleDiscriminator(**critic).eval()
        self.least = smallest_side(self.critic.critics[0].layers, len(self.critic.critics))
        self.networks = {"generator": self.generator, "critic": self.critic}
        self.optimizers = {
            "generator": torch.optim.Adam(self.generator.parameters(), lr),
            "critic": torch.optim.Adam(self.critic.parameters(), critic_lr, betas=(0.5, 0.999)),
        }
        self.ema, self.gate = Ema(self.generator, decay), Gate(0.0, gate)
        self.kept = {"ema": self.ema, "gate": self.gate}
        self.form, self.warmup_steps, self.views = choose("form", form, FORMS), check_count("warmup_steps", warmup_steps, 0), {}

    def step(self, index: int, batches: list, training: Training) -> dict[str, torch.Tensor]:
        """One change of the generator, and one of the critic if its turn has come."""
        sums: dict[str, torch.Tensor] = {}
        wanted = bool(self.weights["adversarial"] or self.weights["matching"])
        learns, heard = wanted and index >= self.warmup_steps // 2, wanted and index >= self.warmup_steps
        outputs = []
        with training.update("generator") as backward:
            for (batch, paintings), drawn in zip(batches, training.draw(len(self.info["styles"]), index), strict=True):
                photo, guides = to_device(batch, training.device)
                real = paintings.images.to(training.device)
                blend = torch.nn.functional.one_hot(drawn, len(self.info["styles"])).float()
                pictures = training.wrapped["generator"].forward_all(photo, blend)
                total, terms = self.fine(pictures[-1], photo, blend, guides)
                total = total + DRAFT * self._drafts(pictures[:-1], photo, blend, guides)
                if heard:
                    total, terms = self._play(pictures[-1], real, total, terms)
                backward(total)
                add(sums, {"total": total, **terms}, len(batches))
                outputs.append((photo, real, pictures[-1].detach()))
                self.views = {"photo": photo[:1], "picture": pictures[-1][:1].detach(), "draft": pictures[0][:1].detach()}
        self.ema.update(self.generator)
        return sums | self._criticise(outputs, training, learns)

    def _drafts(self, drafts, photo, blend, guides):
        """The objective of each coarser picture, with the photo at its size, added up."""
        total = 0.0
        for objective, draft in zip(self.coarser, reversed(drafts), strict=True):
            photo, guides = downsample(photo), None if guides is None else downsample(guides)
            total = total + objective(draft, photo, blend, guides)[0]
        return total

    def _play(self, picture, real, total, terms):
        """The generator's part of the game; the critic's weights are left alone."""
        self.critic.requires_grad_(False)
        judged = self.critic(picture)
        terms = terms | {"adversarial": generator_loss([logits for logits, _ in judged], self.form)}
        if self.weights["matching"]:
            with torch.no_grad():
                seen = [features for _, features in self.critic(real)]
            terms["matching"] = feature_matching([features for _, features in judged], seen)
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
        for photo, real, made in outputs:
            count = len(real)
            logits = [scale for scale, _ in critic(torch.cat([real, made, photo, edge_smoothed(real)]))]
            self.critic.eval()
            right, wrong, photos, smoothed = ([x[n * count : (n + 1) * count] for x in logits] for n in range(4))
            against = ((1.0, wrong), (PHOTOS, photos), (SMOOTHED, smoothed))
            loss = sum(weight * discriminator_loss(right, fake, self.form) for weight, fake in against)
            backward(loss)
            share = torch.tensor(accuracy(right, wrong, self.form), device=loss.device)
            add(sums, {"critic": loss, "accuracy": share}, len(outputs))
            self.views["judgement"] = logits[0][count : count + 1].detach().sigmoid()
        return sums


SYSTEM = System(
    name="multiscale_gan",
    paper="the survey's proposed system, after Lin et al. 2021 (LapSTYLE) and Wang et al. 2018 (pix2pixHD)",
    idea="paint from coarse to fine under the losses of preserve, and pass for a painting patch by patch",
    cost="hours of training for all paintings; then a tenth of a second",
    label="at once, from coarse to fine",
    options=BlendOptions,
    plan=partial(plan, "multiscale_gan"),
    styles="learned",
    task=task,
    critic=True,
)
