"""Every parameter of the forward model, with its unit, readable from TOML."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from math import isfinite
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

from coreloss.edges import ELEMENTS

__all__ = [
    "SimulationRecipe",
    "from_table",
    "load_recipe",
    "recipe_text",
    "simulation_from_table",
]

Range = tuple[float, float]
T = TypeVar("T")


@dataclass(frozen=True)
class SimulationRecipe:
    """Parameters of ``simulate``; a pair is the range of a uniform draw unless said otherwise.

    The defaults are those of the recipe ``default`` but for ``framed_fraction``,
    ``substance_fraction``, ``extended_fraction``, ``thick_fraction`` and ``offset_fraction``.
    The recipe ``annys2023`` sets those of Annys et al. 2023, Table 1.
    """

    #: forward model: 'gos' is this one, 'gaussian' that of ``coreloss.simulate.gaussian``
    system: str = "gos"

    # -- sample ------------------------------------------------------------------------
    #: 'chemistry' draws compounds (metals, oxides, nitrides, … on carbon film), 'uniform'
    #: draws elements independently, 'mixed' does each with ``uniform_fraction``.
    composition: str = "mixed"
    uniform_fraction: float = 0.25
    max_elements: int = 6
    #: elements of the list that no sample holds
    elements_left_out: tuple[str, ...] = ()
    #: 'all' subshells of the edge table, or 'major' ones only.
    edges: str = "all"
    #: fraction of spectra with nothing but background
    empty_fraction: float = 0.06
    #: fraction of spectra that also hold an edge, saw-tooth or hump, of no listed element
    unlisted_fraction: float = 0.01

    # -- microscope --------------------------------------------------------------------
    beam_energy_kev: tuple[float, ...] = (60.0, 80.0, 100.0, 120.0, 200.0, 300.0)
    alpha_mrad: Range = (0.1, 30.0)
    beta_mrad: Range = (1.0, 100.0)

    # -- window ------------------------------------------------------------------------
    #: 'free' draws start and length log-uniformly, a share of them around an edge;
    #: 'edges' takes the first and the last edge present (Annys et al.).
    window: str = "free"
    start_ev: Range = (42.0, 2200.0)
    end_ev: Range = (90.0, 3300.0)
    length_ev: Range = (25.0, 2800.0)
    anchored_fraction: float = 0.82
    #: of the windows around an edge those around a minor one; and those that begin 4 to 10 eV
    #: before it, the others 10 eV or more
    minor_fraction: float = 0.1
    close_fraction: float = 0.15
    #: [eV/channel], log-uniform; records finer than 1 eV are simulated at 1 eV, to which
    #: the network's grid would bin them
    dispersion_ev: Range = (0.3, 2.0)
    wide_fraction: float = 0.12
    wide_dispersion_ev: Range = (2.0, 8.0)

    #: fraction of records taken on purpose: around edges of the sample, of a few windows the
    #: one that shows the most of its elements, and well enough counted to show them; their
    #: jump ratio, log-uniform, and log10 of their counts instead of the ones below
    framed_fraction: float = 0.0
    framed_jump_ratio: Range = (0.1, 4.0)
    framed_log_counts: Range = (4.0, 7.0)

    # -- low loss ----------------------------------------------------------------------
    #: 'gaussian' or 'lorentzian' (Annys et al.)
    zero_loss: str = "gaussian"
    zero_loss_fwhm_ev: Range = (0.3, 3.0)
    plasmon_energy_ev: Range = (5.0, 30.0)
    plasmon_width_ev: Range = (2.0, 20.0)
    #: True for whole electronvolts (Annys et al.)
    integer_plasmons: bool = False
    #: number of plasmon peaks
    plasmons: tuple[int, int] = (1, 4)
    #: t/λ
    thickness: Range = (0.05, 1.4)
    #: fraction of records of specimens too thick for the method, and their t/λ
    thick_fraction: float = 0.0
    thick: Range = (1.4, 3.0)
    #: half width of the Lorentzian tails of the detector's point spread [eV]
    tail_hwhm_ev: Range = (0.1, 0.8)

    # -- near-edge structure -----------------------------------------------------------
    #: reach of the fine structure above the onset, and the number of its peaks
    fine_structure_width_ev: Range = (30.0, 100.0)
    fine_structure_degree: tuple[int, int] = (6, 24)
    fine_structure_max: float = 6.0
    #: median and log-normal spread of the fine structure's amplitude over the edge's height;
    #: 0 gives Annys et al.'s uniform draw up to ``fine_structure_max``
    fine_structure_median: float = 0.45
    fine_structure_spread: float = 0.8
    #: least intensity that fine structure leaves, over the edge's own
    fine_structure_floor: float = 0.35
    atomic_diameter_pm: Range = (25.0, 250.0)
    #: fraction of K edges up to F with the π* and σ* peaks of covalent bonds
    bond_fraction: float = 0.5
    #: fraction of K, L2,3 and M4,5 edges with extended fine structure, which goes on for hundreds
    #: of electronvolts
    extended_fraction: float = 0.0
    #: fraction of the edges in the library of multi-Gaussian shapes that have the near-edge
    #: structure of a substance from there
    substance_fraction: float = 0.0
    white_lines: bool = True
    #: giant resonances and delayed M4,5 maxima as measurements have them, not as the atom does
    measured_shapes: bool = True
    #: relative spread of the strengths of an element's subshells against each other
    subshell_spread: float = 0.15
    #: relative spread of the energy scale of an edge's shape above its onset: delayed maxima
    #: of atoms and of solids lie several electronvolts apart
    shape_spread: float = 0.1
    #: the same for the delayed M4,5 edges of As to Xe and of Hf to Bi
    delayed_spread: float = 0.15

    # -- energies ----------------------------------------------------------------------
    #: standard deviation of the chemical shift, element by element [eV], rounded to 1 eV;
    #: oxides and fluorides shift further (``chemistry.oxidation_shifts_ev``)
    chemical_shift_ev: float = 1.0
    #: standard deviation of the onset of one shell against an element's others [eV]
    edge_shift_ev: float = 0.7
    #: True for Annys et al.'s uniform integers: the chemical shift of each edge, and the
    #: instrument's, within ± ``chemical_shift_ev`` and ``instrumental_shift_ev``
    integer_shifts: bool = False
    instrumental_shift_ev: float = 1.5
    wide_shift_fraction: float = 0.25
    wide_shift_ev: float = 15.0
    #: largest relative error of the dispersion
    stretch: float = 0.015
    stretch_fraction: float = 0.4

    # -- background --------------------------------------------------------------------
    #: r of the power law E⁻ʳ
    background_exponent: Range = (1.5, 5.0)
    #: largest change of the exponent over a decade of energy
    background_curvature: float = 0.8
    #: jump ratio of one edge drawn at random from those in the window, log-uniform
    jump_ratio: Range = (0.04, 6.0)
    jump_ratio_log: bool = True
    #: fraction of the records from below 130 eV with the tail of plasmons on the power law
    plasmon_tail_fraction: float = 0.35
    #: fraction of records whose background has been subtracted, and what is left of it
    subtracted_fraction: float = 0.15
    subtracted_residual: float = 0.05
    #: of these the ones from which a power law was subtracted that had been fitted before an edge
    fitted_fraction: float = 0.0

    # -- detector ----------------------------------------------------------------------
    #: log10 of the counts in the highest channel
    log_counts: Range = (2.5, 7.0)
    #: amplitudes at the start of the record, drawn instead of ``log_counts`` when given
    background_amplitude: tuple[float, ...] = ()
    #: relative fixed-pattern noise, and the correlation length [channels] of its slow part
    gain_noise: Range = (0.0, 0.01)
    gain_length: Range = (1.0, 40.0)
    #: standard deviation of the readout [electrons], times a uniform draw
    readout_noise: Range = (0.0, 5.0)
    #: constant offset as a fraction of the highest channel, and how often there is one
    offset_fraction: float = 0.12
    offset: Range = (-0.02, 0.6)
    #: fraction of records with a detector baseline that rises or falls over the record
    baseline_fraction: float = 0.05
    #: fraction of records joined from two with different gain
    gain_step_fraction: float = 0.04
    gain_step: Range = (0.02, 0.6)
    #: least fraction of edge-free records with each of the faults above and below, smoothing
    #: apart, that this recipe has
    empty_faults: float = 0.25
    #: fraction of records whose first or last channels are shaded, or too bright
    shading_fraction: float = 0.08
    #: fraction of records with a few single channels far too high (cosmic rays, hot pixels)
    spike_fraction: float = 0.04
    #: fraction of records that were smoothed, and how far [channels]
    smoothed_fraction: float = 0.2
    smoothing: Range = (1.0, 4.0)

    # -- labels ------------------------------------------------------------------------
    #: 'detectable' asks for ``snr_present`` in the window; 'all' labels every element with
    #: an edge in it, however faint (Annys et al.)
    labels: str = "detectable"
    snr_present: float = 8.0
    #: relative error of model and detector that limits the signal-to-noise ratio at any dose
    model_error: float = 0.012

    def __post_init__(self) -> None:
        for name, allowed in (
            ("composition", ("chemistry", "uniform", "mixed")),
            ("edges", ("all", "major")),
            ("window", ("free", "edges")),
            ("labels", ("detectable", "all")),
            ("zero_loss", ("gaussian", "lorentzian")),
            ("system", ("gos", "gaussian")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"simulation parameter {name} is {getattr(self, name)!r}; "
                    f"choose one of {', '.join(allowed)}"
                )
        unknown = [s for s in self.elements_left_out if s not in ELEMENTS]
        if unknown or len(set(self.elements_left_out)) >= len(ELEMENTS):
            raise ValueError(
                f"simulation parameter elements_left_out is {self.elements_left_out}; it takes "
                "symbols of the element list, and not all of them"
            )
        if self.max_elements < 1:
            raise ValueError(
                f"simulation parameter max_elements is {self.max_elements}; it must be one or more"
            )
        energies = self.beam_energy_kev
        if not energies or not all(_is_number(v) and 1.0 <= v <= 3000.0 for v in energies):
            raise ValueError(
                f"simulation parameter beam_energy_kev is {energies}; it takes energies in keV"
            )
        if self.bond_fraction > 0 and self.fine_structure_degree[1] < 3:
            raise ValueError(
                f"simulation parameter fine_structure_degree is {self.fine_structure_degree}; "
                "bonds have three peaks: give at least 3 as the larger number, or bond_fraction 0"
            )
        for f in fields(self):
            value = getattr(self, f.name)
            if f.type in ("Range", "tuple[int, int]"):
                numbers = [v for v in value if _is_number(v)]
                if len(value) != 2 or len(numbers) != 2 or value[0] > value[1]:
                    raise ValueError(
                        f"simulation parameter {f.name} is {value}; it takes two numbers, "
                        "the lower first"
                    )
                if f.name in self._log_uniform() and value[0] <= 0:
                    raise ValueError(
                        f"simulation parameter {f.name} is {value}; it is drawn log-uniformly: "
                        "give numbers above zero"
                    )
                if f.type == "tuple[int, int]" and any(v != int(v) for v in value):
                    raise ValueError(
                        f"simulation parameter {f.name} is {value}; it takes whole numbers"
                    )
                if value[0] < 0 and f.name != "offset":
                    raise ValueError(
                        f"simulation parameter {f.name} is {value}; it takes numbers from 0 on"
                    )
            elif f.type == "float" and not (isfinite(value) and value >= 0):
                raise ValueError(
                    f"simulation parameter {f.name} is {value}; it takes a number from 0 on"
                )
            elif f.name.endswith("_fraction") and not 0 <= value <= 1:
                raise ValueError(
                    f"simulation parameter {f.name} is {value}; it must lie between 0 and 1"
                )

    def _log_uniform(self) -> tuple[str, ...]:
        """Ranges whose logarithm is drawn."""
        return (
            "dispersion_ev",
            "wide_dispersion_ev",
            "framed_jump_ratio",
            *(("jump_ratio",) if self.jump_ratio_log else ()),
            *(("start_ev", "length_ev") if self.window == "free" else ()),
        )

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of the labels."""
        return ELEMENTS

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, source: str = "recipe") -> SimulationRecipe:
        """A recipe from a mapping; lists become tuples.

        Raises ValueError for an unknown key, naming the nearest known one, and for a value
        of the wrong kind.
        """
        return from_table(cls, values, source=source, what="simulation parameter")

    def to_dict(self) -> dict[str, Any]:
        """Every parameter, tuples as lists."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)


def from_table(cls: type[T], values: dict[str, Any], *, source: str, what: str) -> T:
    """An instance of a dataclass with defaults, from a TOML table; lists become tuples.

    Raises ValueError for an unknown key, naming the nearest known one, and for a value of
    another kind than the default.
    """
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    arguments = {}
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{source}: unknown {what} {key!r}{hint}")
        default = known[key].default
        if isinstance(default, tuple):
            if not isinstance(value, (list, tuple)):
                raise ValueError(f"{source}: {key} is {value!r}; it takes a list")
            value = tuple(value)
        elif type(value) is not type(default) and not (
            isinstance(default, float) and type(value) is int
        ):
            raise ValueError(f"{source}: {key} is {value!r}; it takes a {type(default).__name__}")
        arguments[key] = value
    try:
        return cls(**arguments)
    except ValueError as error:  # its own checks know no file
        raise ValueError(f"{source}: {error}") from None


def load_recipe(name: str | Path) -> Any:
    """A simulation recipe by name (``default``, ``annys2023``, ``kong2022``) or from a TOML file.

    A ``SimulationRecipe``, or the ``GaussianRecipe`` of ``system = "gaussian"``.

    The file holds a table ``[simulation]``; its key ``base`` names the recipe whose values
    the other keys change; a .toml file there is looked for beside the recipe first. Raises
    ValueError or FileNotFoundError with what is wrong.
    """
    path = Path(name)
    if path.suffix == ".toml":
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such recipe file")
        text, source = recipe_text(path), str(path)
    else:
        folder = files("coreloss.data") / "recipes"
        shipped = folder / f"simulation-{name}.toml"
        if not shipped.is_file():
            names = sorted(
                entry.name[len("simulation-") : -len(".toml")]
                for entry in folder.iterdir()
                if entry.name.startswith("simulation-")
            )
            raise ValueError(
                f"no simulation recipe {str(name)!r}; there are {', '.join(names)}, "
                "or give a .toml file"
            )
        text, source = shipped.read_text(encoding="utf-8"), str(name)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{source}: not valid TOML ({error})") from None
    stray = [key for key, value in tables.items() if not isinstance(value, dict)]
    if stray or "simulation" not in tables:
        found = f"{', '.join(stray)} before any table" if stray else "no table [simulation]"
        raise ValueError(f"{source}: holds {found}; put the parameters under [simulation]")
    return simulation_from_table(tables["simulation"], source=source)


def beside(name: str, source: str | Path) -> str:
    """What one recipe calls another: a .toml file is looked for beside it, then as given."""
    near = Path(source).parent / name
    return str(near) if name.endswith(".toml") and near.is_file() else name


def recipe_text(path: Path) -> str:
    """The text of a TOML file, with or without the mark that some editors put before it.

    Raises ValueError for a file that is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is no text in UTF-8, which a TOML file is") from None


def simulation_from_table(table: dict[str, Any], *, source: str) -> Any:
    """The recipe of a ``[simulation]`` table with its optional ``base`` and ``system``."""
    values = dict(table)
    base = values.pop("base", None)
    try:
        start = load_recipe(beside(str(base), source)).to_dict() if base is not None else {}
    except RecursionError:
        raise ValueError(f"{source}: its base {base!r} leads back to itself") from None
    values = {**start, **values}
    if values.get("system", "gos") == "gaussian":
        from coreloss.simulate.gaussian.recipe import GaussianRecipe

        return GaussianRecipe.from_dict(values, source=source)
    return SimulationRecipe.from_dict(values, source=source)
