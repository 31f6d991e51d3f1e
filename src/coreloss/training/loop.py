"""The training loop: simulate, step, validate, save."""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from coreloss.identification import ModelError, load_model
from coreloss.networks import build
from coreloss.training import checkpoint, parallel
from coreloss.training.distill import Teacher
from coreloss.training.loss import ambiguity_weights, multilabel_loss
from coreloss.training.metrics import balanced_threshold, exact_match_rate, weighted_scores
from coreloss.training.muon import Muon
from coreloss.training.rates import best_rate, chosen_rate, searching
from coreloss.training.recipe import Schedule, TrainingRecipe, load_training_recipe
from coreloss.training.source import open_source
from coreloss.training.unfold import take_bundle
from coreloss.whole import whole

__all__ = ["DivergedError", "build_network", "train"]


class DivergedError(ValueError):
    """The loss became infinite or no number."""


def build_network(recipe: TrainingRecipe) -> nn.Module:
    """The untrained network of a recipe.

    Raises ValueError, naming the recipe file, for an unknown network or option.
    """
    shape = {
        "n_channels_in": len(recipe.channels),
        "n_grid": recipe.grid.size,
        "n_elements": len(recipe.simulation.elements),
    }
    for key in shape.keys() & recipe.options.keys():
        raise ValueError(
            f"{recipe.source}: {key} follows from [input] and the element list; "
            "leave it out of [network]"
        )
    try:
        return build(recipe.network, **shape, **recipe.options)
    except ValueError as error:
        raise ValueError(f"{recipe.source}: {error}") from None


def train(
    recipe_path: str | Path,
    out_dir: str | Path,
    *,
    resume: bool = False,
    start_from: str | Path | None = None,
    max_minutes: float | None = None,
    threads: int | None = None,
    device: str = "cpu",
    quiet: bool = False,
) -> dict[str, Any]:
    """Train the network, or the networks of an ensemble, of a recipe.

    Under ``torchrun`` every process calls this, and the outcome is that of one process
    (see `coreloss.training.parallel`).

    Parameters
    ----------
    recipe_path : path or str
        A TOML file, or the name of a shipped recipe.
    out_dir : path
        Receives ``recipe.toml``, ``log.jsonl`` and the last two checkpoints; of an ensemble,
        a folder for each network with these.
    resume : bool
        Go on from the newest checkpoint; the outcome is that of an uninterrupted run.
        Without a checkpoint the run starts at the beginning.
    start_from : path, optional
        The folder of another run, whose weights a new run starts with as far as the networks
        agree, or a model with a compact network, by name or folder, with the same network; the
        model card tells how many spectra those had seen.
    max_minutes : float, optional
        Stop after the chunk at hand, with a checkpoint, once this time is over, be it in the
        search for a learning rate.
    threads : int, optional
        CPU threads for torch.
    device : str
        'cpu', 'cuda', …; simulation and training both run there. With several processes
        'cuda' gives each its own GPU.
    quiet : bool
        No progress.

    Returns
    -------
    dict
        ``spectra`` seen (0 while a learning rate is searched for), ``finished`` and the last
        validation's scores.

    Raises
    ------
    FileExistsError
        If ``out_dir`` holds a run already and ``resume`` is false.
    FileNotFoundError
        If ``start_from`` holds no checkpoint and is no model.
    ValueError
        If it holds a run of another recipe, if the recipe or the device is wrong, and if the
        loss becomes infinite or no number; the checkpoints before that stay.
    """
    recipe = load_training_recipe(recipe_path)
    folder = Path(out_dir)
    if threads:
        torch.set_num_threads(threads)
    _check_device(device)
    ranks, device = parallel.start(device)
    end = None if max_minutes is None else time.monotonic() + 60.0 * max_minutes
    try:
        if recipe.members:
            from coreloss.training.ensemble import train_members

            if start_from is not None:
                raise ValueError(
                    f"{recipe_path}: names an ensemble, which cannot start from one run; "
                    "train its networks one by one, and export them together"
                )
            return train_members(recipe, folder, ranks, device, resume, end, quiet)
        return train_one(recipe, folder, ranks, device, resume, end, quiet, start_from)
    finally:
        ranks.end()


def _check_device(name: str) -> None:
    """Raise ValueError for a device that torch does not know or cannot use here."""
    try:
        torch.empty(1, device=name)
    # torch raises either, depending on how it was built
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ValueError(
            f"device {name!r} cannot be used here ({reason}); give 'cpu', or one that torch has"
        ) from None


def train_one(
    recipe: TrainingRecipe,
    folder: Path,
    ranks: parallel.Ranks,
    device: str,
    resume: bool,
    end: float | None,
    quiet: bool,
    start_from: str | Path | None = None,
) -> dict[str, Any]:
    """Train one network until it is finished or the monotonic clock says ``end``; see `train`."""
    newest = checkpoint.latest(folder)
    begun = newest is not None or searching(folder)
    if begun and not resume:
        raise FileExistsError(f"{folder}: holds a training run; give --resume to continue it")
    if begun and not trained_by(recipe, folder):
        raise ValueError(f"{folder}: was trained with another recipe; choose another folder")
    ranks.check(recipe.schedule.batch_size)
    if recipe.schedule.learning_rate_grid:
        if newest is None:
            build_network(recipe)  # wrong options are told before anything is written
            ranks.agreed(None)  # all have looked
            _keep_recipe(recipe, folder, ranks)
            found = best_rate(recipe, folder, ranks, device, end, quiet)
        else:
            found = chosen_rate(recipe, folder)
        if found is None:
            return {"spectra": 0, "finished": False}
        recipe = found
    run = _Run(recipe, folder, ranks, torch.device(device), quiet or not ranks.first)
    if start_from is not None and newest is None:
        run.begin_with(start_from)
    _keep_recipe(recipe, folder, ranks)
    if ranks.first:
        checkpoint.clear_partial(folder)
    if run.start:
        run.save()  # what is killed before its first chunks still knows where it began
    return run.go(newest, end)


def trained_by(recipe: TrainingRecipe, folder: Path) -> bool:
    """Whether a run that began, if any did, is one of this recipe."""
    kept = folder / "recipe.toml"
    if kept.is_file():
        return kept.read_text(encoding="utf-8") == recipe.text
    # lost, as where a machine stopped before its disk had it: the checkpoint says whose it is,
    # or the folders of a search for a learning rate
    newest = checkpoint.latest(folder)
    if newest is not None:
        return checkpoint.state_of(newest).get("recipe") in (None, recipe.sha256)
    return all(trained_by(recipe, place) for place in folder.glob("rate-*"))


def _keep_recipe(recipe: TrainingRecipe, folder: Path, ranks: parallel.Ranks) -> None:
    if ranks.first:
        folder.mkdir(parents=True, exist_ok=True)
        with whole(folder / "recipe.toml") as partial:
            partial.write_text(recipe.text, encoding="utf-8")


def _optimiser(network: nn.Module, plan: Schedule) -> torch.optim.Optimizer:
    # fused: one pass over the weights, where others take one for each operation
    if plan.optimiser == "muon":
        return Muon(network, lr=plan.learning_rate, weight_decay=plan.weight_decay)
    if plan.optimiser == "adamw":
        return torch.optim.AdamW(
            network.parameters(),
            lr=plan.learning_rate,
            weight_decay=plan.weight_decay,
            fused=True,
        )
    return torch.optim.Adam(network.parameters(), lr=plan.learning_rate, fused=True)


class _Run:
    """State of one training run."""

    def __init__(
        self,
        recipe: TrainingRecipe,
        folder: Path,
        ranks: parallel.Ranks,
        device: torch.device,
        quiet: bool,
    ) -> None:
        self.recipe = recipe
        self.plan: Schedule = recipe.schedule
        self.folder = folder
        self.ranks = ranks
        self.device = device
        self.quiet = quiet
        torch.manual_seed(self.plan.seed)
        self.network = build_network(recipe).to(device)
        if ranks.number > 1:
            parallel.share_batch_norm(self.network)
        self.mean = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.optimiser = _optimiser(self.network, self.plan)
        self.spectra = 0
        self.start: dict[str, Any] = {}  # the run whose weights this one began with
        self.factor = 1.0  # of the learning rate, under the plateau schedule
        self.best_f1 = 0.0
        self.waited = 0
        self.scores: dict[str, float] = {}
        self.validated = -1  # spectra at the last validation
        self.source = open_source(recipe, device)
        self.teacher = Teacher(recipe) if recipe.distillation.teacher else None
        records = self.source.validation(self.plan.validation_spectra)
        present = torch.as_tensor(records.present, device=device).float()
        self.validation = (records.inputs(recipe), present)
        self.dealt: list[tuple[Tensor, Tensor]] = []  # chunks at hand, the next one first
        inputs = self.validation[0].cpu().numpy()
        self.simulator = hashlib.sha256(np.ascontiguousarray(inputs).tobytes()).hexdigest()

    def begin_with(self, source: str | Path) -> None:
        """Take the weights of another run, or of a model; see `train`."""
        other = checkpoint.latest(Path(source))
        if other is not None:
            self.start = checkpoint.take_weights(other, self.network, self.mean)
            return
        try:
            bundle = load_model(source)
        except ModelError as error:
            raise FileNotFoundError(
                f"{source}: holds no checkpoint of a training run, and is no model ({error})"
            ) from None
        self.start = take_bundle(bundle, self.recipe, self.network, self.mean, self.validation[0])

    def _made(self, number: int) -> tuple[Tensor, Tensor]:
        """Inputs of a chunk, and (n, 3, n_elements): labels, targets, weights of the loss."""
        records = self.source.chunk(number)
        present = torch.as_tensor(records.present, device=self.device).float()
        weight = torch.ones_like(present)
        if records.snr is not None:
            snr = torch.as_tensor(records.snr, device=self.device)
            weight = ambiguity_weights(snr, *self.plan.ambiguous_snr, self.plan.ambiguous_weight)
        target = present if self.teacher is None else self.teacher.target(records)
        return records.inputs(self.recipe), torch.stack([present, target, weight], dim=1)

    def _next(self, number: int) -> tuple[Tensor, Tensor]:
        """The chunk of a number, of its inputs this process's share."""
        if not self.dealt:
            chunks = -(-self.plan.spectra // self.plan.chunk)
            self.dealt = self.ranks.dealt(self._made, number, chunks, self.plan.batch_size)
        return self.dealt.pop(0)

    def go(self, newest: Path | None, end: float | None) -> dict[str, Any]:
        """Train to the end of the schedule, or of the time."""
        if newest is not None:
            self._restore(newest)
        elif self.ranks.first:
            (self.folder / "log.jsonl").unlink(missing_ok=True)
        saved = time.monotonic()
        first = self.spectra
        progress = _Progress(self.plan.spectra, first, self.quiet)
        while not self._finished():
            number = self.spectra // self.plan.chunk
            loss = self._chunk(number)
            self.spectra += self.plan.chunk
            before = (self.spectra - self.plan.chunk) // self.plan.validate_every
            if self.spectra // self.plan.validate_every > before:
                self._validate()
                progress.note(self.scores)
            progress.show(self.spectra, loss)
            now = time.monotonic()
            if self.ranks.agreed(end is not None and now > end):
                break
            if now - saved > self.plan.checkpoint_seconds:
                self.save()
                saved = now
        if self._finished() and self.validated != self.spectra:
            self._validate()
            progress.note(self.scores)
        if self.spectra > first:
            self.save()
        progress.end()
        return {"spectra": self.spectra, "finished": self._finished(), **self.scores}

    def _finished(self) -> bool:
        """Whether every spectrum was seen, or the plateau schedule has come to its end."""
        plan = self.plan
        exhausted = plan.schedule == "plateau" and plan.learning_rate * self.factor < plan.lowest
        return self.spectra >= plan.spectra or exhausted

    def _restore(self, newest: Path) -> None:
        """Go back to a checkpoint: weights, moments, counters and the log as it was then."""
        state = checkpoint.load(newest, self.network, self.mean, self.optimiser)
        self.spectra = state["spectra"]
        self.factor, self.best_f1, self.waited = (
            state[key] for key in ("factor", "best_f1", "waited")
        )
        self.scores = state["scores"]
        self.validated = state.get("validated", -1)
        self.start = state.get("start", {})
        if state.get("simulator", self.simulator) != self.simulator and not self._finished():
            warnings.warn(
                f"{self.folder}: the simulator gives other spectra now than at the last "
                "checkpoint (another version or device), so the outcome is not that of one run",
                stacklevel=4,
            )
        log = self.folder / "log.jsonl"
        if log.is_file() and self.ranks.first:
            lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
            # a kill may have cut the last line short; what came after the checkpoint is redone
            ended = [line for line in lines if line.endswith("\n")]
            kept = [line for line in ended if json.loads(line)["spectra"] <= self.spectra]
            with whole(log) as partial:
                partial.write_text("".join(kept), encoding="utf-8")

    def _rate(self, spectra: int) -> float:
        """Learning rate at a number of spectra seen."""
        plan = self.plan
        if plan.schedule == "plateau":
            return plan.learning_rate * self.factor
        warm = min(1.0, (spectra + plan.batch_size) / max(plan.warm_up, 1))
        done = min(1.0, spectra / plan.spectra)
        return plan.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * done))

    def _chunk(self, number: int) -> float:
        """Simulate one chunk and train on it; the same chunk of any run is the same."""
        plan = self.plan
        inputs, labels = self._next(number)
        share = plan.batch_size // self.ranks.number
        # dropout restarts from the chunk's number, so a resumed run repeats it
        torch.manual_seed(plan.seed * 7_919 + number + 104_729 * self.ranks.rank)
        self.network.train()
        total = 0.0
        for begin in range(0, plan.chunk, plan.batch_size):
            rows = slice(begin, begin + plan.batch_size)
            for group in self.optimiser.param_groups:
                group["lr"] = self._rate(self.spectra + begin)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=plan.bf16):
                mine = begin // self.ranks.number
                logits = self.network(inputs[mine : mine + share])
            present, target, weight = labels[rows].unbind(1)
            loss = multilabel_loss(
                self.ranks.whole(logits.float()),
                present,
                weight,
                plan.soft_f1,
                smoothing=plan.label_smoothing,
                target=target,
            )
            self.optimiser.zero_grad()
            loss.backward()
            self.ranks.sum_gradients(self.network)
            if plan.gradient_clip:
                nn.utils.clip_grad_norm_(self.network.parameters(), plan.gradient_clip)
            self.optimiser.step()
            if plan.ema:
                self._average(self.spectra + begin)
            total += float(loss.detach())
        if not plan.ema:  # the weights themselves, wanted between chunks only
            self._average(self.spectra)
        if not math.isfinite(total):
            raise DivergedError(
                f"{self.folder}: the loss is {total} after {self.spectra + plan.chunk:,} spectra; "
                "lower learning_rate or set gradient_clip, and train again"
            )
        return total * plan.batch_size / plan.chunk

    def _average(self, spectra: int) -> None:
        """Running mean of the weights; it forgets faster while little has been seen."""
        step = spectra // self.plan.batch_size
        decay = min(self.plan.ema, (1.0 + step) / (10.0 + step)) if self.plan.ema else 0.0
        with torch.no_grad():
            for key, value in self.network.state_dict().items():
                if value.dtype.is_floating_point:
                    self.mean[key].lerp_(value, 1.0 - decay)
                else:
                    self.mean[key].copy_(value)

    def predict(self, inputs: Tensor) -> Tensor:
        """Logits by the averaged weights, (n, n_elements)."""
        own = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.mean)
        self.network.eval()
        with torch.no_grad():
            out = torch.cat(
                [self.network(inputs[i : i + 512]).float() for i in range(0, inputs.shape[0], 512)]
            )
        self.network.load_state_dict(own)
        return out

    def _validate(self) -> None:
        """Score the averaged weights, and halve the learning rate on a plateau."""
        inputs, present = self.validation
        logits = self.predict(inputs)
        loss = multilabel_loss(logits, present, torch.ones_like(logits), 0.0)
        probability = torch.sigmoid(logits).cpu().numpy()
        truth = present.cpu().numpy() > 0.5
        threshold = balanced_threshold(truth, probability)
        precision, recall, f1 = weighted_scores(truth, probability >= threshold)
        self.scores = {
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "exact_match": exact_match_rate(truth, probability >= threshold),
            "threshold": threshold,
            "loss": float(loss),
        }
        # the same in every process, so that all of them halve the learning rate together
        self.scores = self.ranks.agreed(self.scores)
        f1 = self.scores["f1"]
        if f1 >= self.best_f1 + self.plan.plateau_rise:
            self.best_f1, self.waited = f1, 0
        else:
            self.waited += 1
        if self.plan.schedule == "plateau" and self.waited >= self.plan.plateau_patience:
            self.factor *= 0.5
            self.waited = 0
        if self.ranks.first:
            with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps({"spectra": self.spectra, **self.scores}) + "\n")
        self.validated = self.spectra

    def save(self) -> None:
        """Write a checkpoint; one process does."""
        if not self.ranks.first:
            return
        state = {
            "factor": self.factor,
            "best_f1": self.best_f1,
            "waited": self.waited,
            "scores": self.scores,
            "validated": self.validated,
            "simulator": self.simulator,
            "start": self.start,
            "recipe": self.recipe.sha256,
        }
        checkpoint.save(self.folder, self.spectra, self.network, self.mean, self.optimiser, state)


class _Progress:
    """A line with rate and time left: rewritten on a terminal, now and then in a log."""

    def __init__(self, total: int, first: int, quiet: bool) -> None:
        self.total, self.first, self.quiet = total, first, quiet
        self.begun = self.shown = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.scores = ""

    def note(self, scores: dict[str, float]) -> None:
        self.scores = f"  F1 {scores['f1']:.3f}  exact {scores['exact_match']:.3f}"

    def show(self, spectra: int, loss: float) -> None:
        now = time.monotonic()
        if self.quiet or not (self.terminal or now - self.shown > 30.0):
            return
        self.shown = now
        rate = (spectra - self.first) / max(now - self.begun, 1e-9)
        left = (self.total - spectra) / max(rate, 1e-9) / 60.0
        text = (
            f"{spectra:,} of {self.total:,} spectra  loss {loss:.4f}{self.scores}"
            f"  {rate:.0f} spectra/s  {left:.0f} min left"
        )
        self._write(("\r" + text + "   ",) if self.terminal else (text, "\n"))

    def end(self) -> None:
        if self.terminal and not self.quiet:
            self._write(("\n",))

    @staticmethod
    def _write(parts: Iterable[str]) -> None:
        sys.stderr.write("".join(parts))
        sys.stderr.flush()
