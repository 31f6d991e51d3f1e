"""A training recipe: simulation, input, network and schedule in one TOML file."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from coreloss.grid import GRIDS, Grid
from coreloss.networks import members_of
from coreloss.networks.inputs import CHANNEL_SETS, CHANNELS
from coreloss.simulate import SimulationRecipe, simulation_from_table
from coreloss.simulate.gaussian.recipe import GaussianRecipe
from coreloss.simulate.recipe import beside, from_table, load_recipe, recipe_text

__all__ = ["Data", "Distillation", "Mixture", "Schedule", "TrainingRecipe", "load_training_recipe"]

_TABLES = (
    "simulation",
    "mixture",
    "input",
    "network",
    "training",
    "data",
    "distillation",
    "ensemble",
)
_INPUT = ("grid", "start_ev", "step_ev", "resolving_power", "size", "channels")


@dataclass(frozen=True)
class Schedule:
    """The table ``[training]``."""

    #: spectra to train on in all
    spectra: int = 3_000_000
    batch_size: int = 256
    #: spectra simulated at a time, a multiple of ``batch_size``
    chunk: int = 4096
    #: 'adam', 'adamw' or 'muon'
    optimiser: str = "adamw"
    learning_rate: float = 2e-3
    #: learning rates of which the best is taken: each trains the same new network on the first
    #: ``grid_spectra``, and the validation F1 decides
    learning_rate_grid: tuple[float, ...] = ()
    grid_spectra: int = 32_768
    weight_decay: float = 0.02
    #: 'cosine', after a linear warm-up, or 'plateau': halved when the validation F1 has not
    #: risen by ``plateau_rise`` for ``plateau_patience`` validations, stopped below ``lowest``
    schedule: str = "cosine"
    warm_up: int = 60_000
    plateau_rise: float = 0.025
    plateau_patience: int = 3
    lowest: float = 5e-6
    #: weight of 1 - macro soft F1 beside the binary cross-entropy; 1 is that of the paper
    soft_f1: float = 0.0
    #: labels of the cross-entropy move by half of it towards one half
    label_smoothing: float = 0.0
    #: loss weight of elements whose signal-to-noise ratio lies between the two limits: too
    #: faint to call present, too strong to call absent
    ambiguous_snr: tuple[float, float] = (4.0, 14.0)
    ambiguous_weight: float = 0.3
    #: largest norm of the gradient; 0 for no limit
    gradient_clip: float = 5.0
    #: decay of the running mean of the weights, which is what is kept; 0 for none
    ema: float = 0.9995
    #: bfloat16 autocast for the network; the loss stays in float32
    bf16: bool = True
    seed: int = 1
    validation_spectra: int = 4096
    #: spectra between validations
    validate_every: int = 131_072
    #: least seconds between checkpoints
    checkpoint_seconds: float = 120.0

    def __post_init__(self) -> None:
        if self.optimiser not in ("adam", "adamw", "muon"):
            raise ValueError(f"optimiser is {self.optimiser!r}; choose adam, adamw or muon")
        if self.schedule not in ("cosine", "plateau"):
            raise ValueError(f"schedule is {self.schedule!r}; choose cosine or plateau")
        if self.batch_size < 1 or self.chunk % self.batch_size:
            raise ValueError(
                f"chunk is {self.chunk}; it must be a multiple of batch_size {self.batch_size}"
            )
        if self.chunk < 1 or self.spectra < self.chunk:
            raise ValueError(f"spectra is {self.spectra}, less than one chunk of {self.chunk}")
        if len(self.ambiguous_snr) != 2 or self.ambiguous_snr[0] > self.ambiguous_snr[1]:
            raise ValueError(
                f"ambiguous_snr is {self.ambiguous_snr}; it takes two numbers, the lower first"
            )
        if any(type(rate) not in (int, float) or rate <= 0 for rate in self.learning_rate_grid):
            raise ValueError(
                f"learning_rate_grid is {self.learning_rate_grid}; it takes positive numbers"
            )
        for name in ("learning_rate", "validation_spectra", "validate_every", "grid_spectra"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be positive")
        for name in ("ema", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; it must be at least 0 and below 1"
                )


@dataclass(frozen=True)
class Data:
    """The table ``[data]``: spectra from files instead of simulated on the way."""

    #: a data set as 'coreloss simulate' writes it, or the public one; relative to where the
    #: command runs. Empty for simulation.
    folder: str = ""


@dataclass(frozen=True)
class Mixture:
    """The table ``[mixture]``: some of the training spectra are another simulation's.

    Calibration, threshold and the card's scores remain those of ``[simulation]`` alone.
    """

    #: name of the other simulation recipe, whose elements are all in the network's list
    simulation: SimulationRecipe | GaussianRecipe | None = None
    #: of it in the training and validation spectra
    share: float = 0.0


@dataclass(frozen=True)
class Distillation:
    """The table ``[distillation]``: train on what another model says of the same spectra."""

    #: name or directory of a model bundle; relative to where the command runs. Empty for none.
    teacher: str = ""
    #: of the teacher's probabilities in the target; the labels have the rest
    weight: float = 0.7

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise ValueError(f"weight is {self.weight}; it must be above 0 and at most 1")


@dataclass(frozen=True)
class TrainingRecipe:
    """Everything that decides a trained network, with the text it came from.

    Attributes
    ----------
    simulation : SimulationRecipe or GaussianRecipe
    grid : Grid
    network : str
        Of an ensemble: as the recipe has it.
    options : dict
        Of the network; of an ensemble, by the names of its networks.
    schedule : Schedule
    channels : tuple of str
        What the network sees; one of ``coreloss.networks.inputs.CHANNEL_SETS``.
    mixture : Mixture
    data : Data
    distillation : Distillation
    members : tuple of str
        The networks of an ensemble; else empty.
    text : str
        The recipe file.
    source : str
        Where that was read, for messages.
    """

    simulation: SimulationRecipe | GaussianRecipe
    grid: Grid
    network: str
    options: dict[str, Any] = field(default_factory=dict)
    schedule: Schedule = field(default_factory=Schedule)
    channels: tuple[str, ...] = CHANNELS
    mixture: Mixture = field(default_factory=Mixture)
    data: Data = field(default_factory=Data)
    distillation: Distillation = field(default_factory=Distillation)
    members: tuple[str, ...] = ()
    text: str = ""
    source: str = "recipe"

    @property
    def sha256(self) -> str:
        """Hash of the recipe file."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def member(self, number: int) -> TrainingRecipe:
        """The recipe of one network of an ensemble, counted from 1: its own options and seed."""
        return _parse(f"{self.text.rstrip()}\n\n[ensemble]\nmember = {number}\n", self.source)


def load_training_recipe(path: str | Path) -> TrainingRecipe:
    """The recipe of a TOML file, or a shipped one by name (``default``).

    Raises FileNotFoundError, or ValueError with the file, the key and what is expected.
    """
    source = Path(path)
    if source.is_file():
        text = recipe_text(source)
    else:
        shipped = files("coreloss.data") / "recipes" / f"{path}.toml"
        if not shipped.is_file():
            raise FileNotFoundError(f"{path}: no such recipe file, and no shipped recipe either")
        text = shipped.read_text(encoding="utf-8")
    return _parse(text, str(path))


def _parse(text: str, path: str) -> TrainingRecipe:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: not valid TOML ({error})") from None
    for name in tables:
        if name not in _TABLES:
            near = difflib.get_close_matches(name, _TABLES, n=1)
            hint = f"did you mean [{near[0]}]?" if near else f"there are {', '.join(_TABLES)}"
            raise ValueError(f"{path}: unknown table [{name}]; {hint}")
        if not isinstance(tables[name], dict):
            raise ValueError(f"{path}: {name} is {tables[name]!r}; it must be a table [{name}]")
    try:
        return _from_tables(tables, text, path)
    except ValueError as error:
        if str(error).startswith(f"{path}: "):
            raise
        # what a value's own check says knows no file
        raise ValueError(f"{path}: {error}") from None


def _from_tables(tables: dict[str, Any], text: str, source: str) -> TrainingRecipe:
    simulation = simulation_from_table(tables.get("simulation", {}), source=source)
    grid = _grid(tables.get("input", {}), source)
    schedule = from_table(
        Schedule, tables.get("training", {}), source=source, what="training parameter"
    )
    data = from_table(Data, tables.get("data", {}), source=source, what="data parameter")
    distillation = from_table(
        Distillation, tables.get("distillation", {}), source=source, what="distillation parameter"
    )
    table = dict(tables.get("network", {}))
    written = table.pop("name", "compact")
    if not isinstance(written, str):
        raise ValueError(f"{source}: the network's name is {written!r}; it takes text")
    members = members_of(written)
    name, options = members[0], _options(table)
    number = tables.get("ensemble", {}).get("member", 0)
    if len(members) > 1:
        for key, value in table.items():
            if key not in members or not isinstance(value, dict):
                raise ValueError(
                    f"{source}: {key} stands under [network]; the options of an ensemble's "
                    f"networks have tables of their own, such as [network.{members[0]}]"
                )
        options = {key: _options(value) for key, value in table.items()}
    if tables.get("ensemble", {}) != ({"member": number} if number else {}) or (
        number and (type(number) is not int or not 1 <= number <= len(members))
    ):
        raise ValueError(f"{source}: [ensemble] takes member, a number from 1 to {len(members)}")
    if number:
        # each its own beginning and its own spectra
        schedule = replace(schedule, seed=schedule.seed + number - 1)
        name = members[number - 1]
        options = options.get(name, {}) if len(members) > 1 else options
    return TrainingRecipe(
        simulation,
        grid,
        written if len(members) > 1 and not number else name,
        options,
        schedule,
        CHANNEL_SETS[_channels(tables.get("input", {}), source)],
        _mixture(tables.get("mixture"), simulation, data, source),
        data,
        distillation,
        members if len(members) > 1 and not number else (),
        text,
        source,
    )


def _mixture(
    table: dict[str, Any] | None,
    main: SimulationRecipe | GaussianRecipe,
    data: Data,
    source: str,
) -> Mixture:
    if table is None:
        return Mixture()
    name, share = table.get("simulation"), table.get("share")
    known = set(table) == {"simulation", "share"}
    if not known or not isinstance(name, str) or not isinstance(share, float | int):
        raise ValueError(
            f"{source}: [mixture] takes simulation, the name of a recipe, and share, a number"
        )
    if not 0 < share < 1:
        raise ValueError(f"{source}: share is {share}; it must lie between 0 and 1")
    if data.folder:
        raise ValueError(f"{source}: [mixture] is for simulated spectra; leave out it or [data]")
    other = load_recipe(beside(name, source))
    unknown = [symbol for symbol in other.elements if symbol not in main.elements]
    if unknown:
        raise ValueError(
            f"{source}: [mixture] holds {', '.join(unknown)}, which [simulation] has no labels for"
        )
    return Mixture(other, float(share))


def _options(table: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}


def _channels(table: dict[str, Any], source: str) -> str:
    name = str(table.get("channels", "features"))
    if name not in CHANNEL_SETS:
        raise ValueError(f"{source}: no channels {name!r}; there are {', '.join(CHANNEL_SETS)}")
    return name


def _grid(table: dict[str, Any], source: str) -> Grid:
    values = dict(table)
    name = values.pop("grid", "default")
    values.pop("channels", None)
    if name not in GRIDS:
        raise ValueError(f"{source}: no grid {name!r}; there are {', '.join(GRIDS)}")
    for key, value in values.items():
        if key not in _INPUT:
            near = difflib.get_close_matches(key, _INPUT, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_INPUT)}"
            raise ValueError(f"{source}: unknown input parameter {key!r}; {hint}")
        whole = key == "size"
        if type(value) is not int and (whole or type(value) is not float):
            kind = "a whole number" if whole else "a number"
            raise ValueError(f"{source}: {key} is {value!r}; it takes {kind}")
    return replace(GRIDS[name], **values)
