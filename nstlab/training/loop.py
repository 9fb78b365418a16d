"""THE loop over network weights: an iterator of steps that can be paused, stopped, killed, and gone on with.

Step n is a pure function of the seed, n, and the weights before it: pictures, crops and styles are drawn by step number, not
from a generator that runs on. So a training that goes on from a checkpoint ends in the same weights as one left alone.
"""

import contextlib
import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from nstlab.data import Batches, Pictures, Repeated
from nstlab.devices import keep_memory
from nstlab.errors import DivergedError, SettingError, WeightsError, check_count, check_seed, choose
from nstlab.files import expanded
from nstlab.step import Step
from nstlab.training import checkpoints
from nstlab.training.checkpoints import PLACES, Snapshot
from nstlab.training.distributed import mean, parts, start
from nstlab.training.log import Log
from nstlab.training.task import Task

ADVICE = "try a smaller learning rate or smaller weights; the last good weights are kept"
FREE = ("steps", "save_every", "coarse")  # what may differ between a training and its continuation


class Training:
    """A training made ready: iterate it for its Steps; stop it, or close the iterator; iterate again to go on.

    `content` and `paintings` (for critics, or as styles; may be None) are Pictures. `size` is the side of the crops in pixels;
    with `progressive` the first half of the steps has half that. A step takes `accumulate` times `batch` pictures, over all
    processes. `folder` receives log.csv, a row a step, and last.safetensors every `save_every` steps and whenever the iteration
    ends (the one before stays as previous.safetensors). `notes` say what was left out, such as pictures that turn out damaged;
    notes.txt in the folder keeps them. Under torchrun every process takes its share of each batch: two make the losses, to the
    last bit on a CPU, of one that adds up two batches of half the size (`accumulate`). `precision` "bf16" computes the networks
    in mixed precision. `source` are settings of the caller's.

    `resume` goes on from the folder's checkpoint, if there is one, with the same settings; only `steps` and `save_every` may
    differ. Learning rates follow `task.lr_factor`; where they fall towards the end of `steps`, more steps than before make them
    rise again at once. A step that is not finished leaves everything as it was before it. Steps in a thread and `save` from
    another one do not meet. Raises NstlabError.
    """

    def __init__(
        self, task: Task, content: Pictures, paintings: Pictures | None = None, *, steps: int = 1000, size: int = 256,
        batch: int = 4, seed: int = 0, guides=None, accumulate: int = 1, workers: int = 0, progressive: bool = False,
        folder=None, save_every: int = 200, resume: bool = False, device: str = "auto", precision: str = "fp32",
        tensorboard: bool = False, source: dict | None = None,
    ):  # fmt: skip
        counts = {"steps": steps, "size": size, "batch": batch, "accumulate": accumulate, "save_every": save_every}
        counts = {name: check_count(name, value) for name, value in counts.items()} | {"seed": check_seed(seed)}
        self.task, self.steps, self.size, self.save_every = task, steps, size, save_every
        self.accumulate, self.batch, self.seed = accumulate, batch, counts["seed"]
        self.coarse = steps // 2 if progressive else 0  # steps at half size
        self.done, self.stopping, self.notes = 0, False, []
        self._saved, self._lock = None, threading.RLock()
        self._before, self._good = Snapshot(), Snapshot()  # this step, and the one before: two memories that change places
        self.fabric = start(device, choose("precision", precision, ("fp32", "bf16")))
        self.rank, self.ranks = self.fabric.global_rank, self.fabric.world_size
        asked = {f"weight {name}": value for name, value in task.weights.items()}
        self.settings = counts | {"progressive": progressive, "precision": precision, "coarse": self.coarse}
        self.settings |= {"pictures": len(content), "names": content.fingerprint()}
        self.settings |= {"real names": paintings and paintings.fingerprint(), **task.settings, **asked, **(source or {})}
        self._pictures, self._sets, self._workers, self._guides = (content, paintings), {}, workers, guides
        for side in [size // 2, size] if self.coarse else [size]:
            if side < task.least:
                raise SettingError(f"crops of {side} pixels are too small for this network: it needs {task.least} or more")
            self._streams(side)  # what is wrong with the pictures is said before the start
        self.folder = None if folder is None else expanded(folder)
        self._lrs = {name: [group["lr"] for group in each.param_groups] for name, each in task.optimizers.items()}
        self._ready(resume)
        self.log = Log(self.folder, self.done, tensorboard) if self.rank == 0 else None
        self._note_all()

    @property
    def device(self) -> torch.device:
        return self.fabric.device

    @property
    def history(self) -> list[dict]:
        """One dict a step so far: index, scale, total, and the losses by name. Empty in all processes but the first."""
        return self.log.rows if self.log else []

    @property
    def checkpoint(self) -> Path:
        """Where the checkpoint lies, or will lie."""
        if self.folder is None:
            raise SettingError("this training has no folder to save in: name one")
        return self.folder / "last.safetensors"

    def _ready(self, resume: bool) -> None:
        """Everything on its device, and the weights from the checkpoint if the training goes on."""
        there = self.fabric.broadcast(self.folder is not None and self.checkpoint.exists())  # as the first process sees it
        if there and not resume:
            raise SettingError(f"{self.folder} holds a training already: resume it, or name another folder")
        if self.folder is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SettingError(f"{self.folder} cannot be made ({error.strerror}): name another folder") from None
        self.wrapped = {}
        for name, network in self.task.networks.items():
            self.wrapped[name], _ = self.fabric.setup(network, self.task.optimizers[name])
            if hasattr(network, "forward_all"):
                self.wrapped[name].mark_forward_method("forward_all")
        for kept in self.task.kept.values():
            if hasattr(kept, "module"):
                kept.module.to(self.device)
        if there:
            if self.rank == 0:
                checkpoints.sweep(self.folder)
            self._load(self.checkpoint)

    def _load(self, path: Path) -> None:
        """Go on from the checkpoint, if it is one of this training. Raises WeightsError, SettingError."""
        try:
            tensors, info = checkpoints.read(path)
        except WeightsError as error:
            before = path.with_name("previous.safetensors")
            hint = f"; or rename {before}, the one before" if before.exists() else ""
            raise WeightsError(f"{error}{hint}") from None
        if not {"network", "settings", "step", "weights", "kept"} <= info.keys():
            raise WeightsError(f"{path} has only what painting needs, and a training cannot go on from it: name another folder")
        wanted = {"system": self.task.system, **self.task.info, **self.settings}
        found = {"system": info["system"], **info["network"], **info["settings"]}
        for name, value in json.loads(json.dumps(wanted)).items():
            moved = name in PLACES and (value is None) == (found.get(name) is None)
            if name not in FREE and not moved and found.get(name) != value:
                raise SettingError(
                    f"{path.parent} was begun with {name} {found.get(name)}, not {value}: keep it, or start anew"
                )
        self._go_to(tensors, info, path)
        self.settings = info["settings"] | self.settings  # where it began is true of its continuation, named again or not
        self.coarse = self.settings["coarse"] = info["settings"]["coarse"]
        self._saved = self._moment()

    def _state(self) -> tuple[dict[str, torch.Tensor], dict]:
        """(tensors, what they belong to): all that a continuation needs. The tensors are no copies."""
        tensors, kept = checkpoints.pack(self.task.networks, self.task.optimizers, self.task.kept)
        info = {"system": self.task.system, "network": self.task.info, "settings": dict(self.settings), "step": self.done}
        return tensors, info | {"weights": dict(self.task.weights), "kept": kept}

    def _restore(self, moment: Snapshot) -> None:
        self._go_to(moment.tensors, moment.info, "this training")

    def _go_to(self, tensors: dict[str, torch.Tensor], info: dict, source) -> None:
        """Go back, or on, to what `_state` gave."""
        checkpoints.unpack(tensors, info["kept"], self.task.networks, self.task.optimizers, self.task.kept, source)
        self.task.weights.update(info["weights"])
        self.done = info["step"]

    def save(self) -> Path:
        """Write the checkpoint as things stand after the last whole step; waits for the step it is in. Raises WeightsError."""
        with self._lock:
            if self._saved != self._moment() and self.rank == 0:
                checkpoints.write(self.checkpoint, *self._state(), previous=self.checkpoint.with_name("previous.safetensors"))
            self._saved = self._moment()
            return self.checkpoint

    def _moment(self) -> tuple:
        """What tells this moment from others: between two steps only the weights of the losses change."""
        return self.done, dict(self.task.weights)

    def stop(self) -> None:
        """End the iteration after the step it is in, with a checkpoint."""
        self.stopping = True

    def __iter__(self) -> Iterator[Step]:
        self.stopping = False
        try:
            while self._goes_on(self.steps):
                coarse = self.done < self.coarse
                until, size = (self.coarse, self.size // 2) if coarse else (self.steps, self.size)
                with contextlib.ExitStack() as stack:
                    stack.enter_context(keep_memory())
                    streams = [stack.enter_context(contextlib.closing(each)) for each in self._streams(size)]
                    while self._goes_on(min(until, self.steps)):
                        yield self._step(size, streams)
        except GeneratorExit:
            self._save_if_folder()
            raise
        self._save_if_folder()

    def _goes_on(self, until: int) -> bool:
        """Whether there is a step to make. All processes stop at the same one: the others would wait for it for ever."""
        return self.done < until and not bool(mean(self.fabric, torch.tensor(float(self.stopping), device=self.device)))

    def _save_if_folder(self) -> None:
        if self.folder is not None:
            self.save()

    def _streams(self, size: int) -> list:
        """From the next step on: batches of photos and, if there is a critic, of paintings. Opened sets are kept."""
        if size not in self._sets:
            if self.batch % self.ranks:
                raise SettingError(f"a batch of {self.batch} cannot be shared by {self.ranks} processes: take a multiple of it")
            several, (content, paintings) = self.batch * self.accumulate, self._pictures
            options = {"rank": self.rank, "ranks": self.ranks, "workers": self._workers}
            found = [Batches(content, size, several, seed=self.seed, guides=self._guides, **options)]
            if paintings is not None:
                if self.task.style_scale is not None:
                    options["long_side"] = max(1, round(size * self.task.style_scale))
                found.append(Batches(Repeated(paintings, several), size, several, seed=(self.seed + 1) % 2**63, **options))
            self._sets = {size: found}  # the crops of another stage are over
        return [each.stream(self.done) for each in self._sets[size]]

    def _step(self, size: int, streams: list) -> Step:
        with self._lock:
            factor = self.task.lr_factor(self.done, self.steps)
            for name, optimizer in self.task.optimizers.items():
                for group, lr in zip(optimizer.param_groups, self._lrs[name], strict=True):
                    group["lr"] = lr * factor
            photos, *paintings = [parts(next(stream), self.accumulate) for stream in streams]
            batches = list(zip(photos, *(paintings or [[None] * self.accumulate]), strict=True))
            self._note_all()
            self._before.take(*self._state())
            try:
                found = self.task.step(self.done, batches, self)
            except DivergedError:
                self._go_back()
                raise
            except BaseException:
                self._restore(self._before)
                raise
            self._before, self._good = self._good, self._before  # its losses are numbers
            self.done += 1
            values = mean(self.fabric, torch.stack([value.detach().float() for value in found.values()]))
            losses = dict(zip(found, values.tolist(), strict=True))
            total = losses.pop("total")
            step = Step(self.done, size, self.task.views["picture"], losses, total)
            if self.log:
                self.log.add({"index": step.index, "scale": size, "total": step.total, **losses})
            if self.folder is not None and self.done % self.save_every == 0:
                self.save()
            return step

    def _go_back(self) -> None:
        """After a loss that is no number: to the last weights whose losses were numbers, in memory and on disk.

        Those at the beginning of this step led here, so they are not it, unless nothing came before them.
        """
        good = self._good if self._good.info else self._before
        self._restore(good)
        if self.log:
            self.log.keep(self.done)
        if good is self._good and self.folder is not None:
            self.save()

    def note(self, text: str) -> None:
        """Add a sentence to `notes` and to the log, once."""
        if text not in self.notes:
            self.notes.append(text)
            if self.log:
                self.log.note(text)

    def _note_all(self) -> None:
        """What the sets of pictures and the batches cut from them left out so far."""
        for source in (*self._pictures, *itertools.chain.from_iterable(self._sets.values())):
            for text in source.notes if source else ():
                self.note(text)

    @contextlib.contextmanager
    def update(self, name: str):
        """One change of a network's weights: yields a function that takes the total of each batch. A total or a gradient that
        is not a number leaves the weights as they are and raises DivergedError."""
        optimizer, network = self.task.optimizers[name], self.task.networks[name]
        optimizer.zero_grad()

        def backward(total: torch.Tensor) -> None:
            self._check(total.detach())
            self.fabric.backward(total / self.accumulate)

        yield backward
        self._check(nn.utils.clip_grad_norm_(network.parameters(), self.task.clip))
        optimizer.step()

    def _check(self, value: torch.Tensor) -> None:
        if not bool(torch.isfinite(mean(self.fabric, value.float()))):
            raise DivergedError(self.done + 1, self.task.views.get("picture"), ADVICE)

    def draw(self, high: int, index: int) -> list[torch.Tensor]:
        """Whole numbers below `high`, one for each of this process's pictures in each batch of step `index`."""
        drawn = torch.randint(high, (self.batch * self.accumulate,), generator=self.generator(index))
        return list(drawn.view(self.ranks, self.accumulate, -1)[self.rank].to(self.device))

    def generator(self, index: int) -> torch.Generator:
        """Random numbers of step `index`, on the CPU: the same in every process, whatever was drawn before."""
        return torch.Generator().manual_seed((self.seed * 1_000_003 + index) % 2**63)
