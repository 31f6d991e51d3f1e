"""Every parameter of the forward model of Kong et al. 2022, with its unit."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from coreloss.simulate.recipe import from_table

__all__ = ["EDGES", "GaussianRecipe"]

Range = tuple[float, float]

#: Kong et al. 2022, Table 1: edge → (highest jump ratio, number of digitised edges)
EDGES: dict[str, tuple[float, int]] = {
    "B K": (0.5, 31),
    "C K": (1.5, 25),
    "N K": (0.7, 14),
    "O K": (1.5, 38),
    "F K": (1.0, 8),
    "Si L2,3": (1.3, 34),
    "P L2,3": (1.3, 5),
    "S L2,3": (1.5, 1),
    "Cl L2,3": (1.5, 1),
    "Ar L2,3": (1.5, 1),
    "Ca L2,3": (1.3, 13),
    "Sc L2,3": (1.3, 6),
    "Ti L2,3": (1.5, 47),
    "V L2,3": (1.5, 40),
    "Cr L2,3": (1.5, 18),
    "Mn L2,3": (0.5, 26),
    "Fe L2,3": (1.5, 39),
    "Co L2,3": (0.7, 23),
    "Ni L2,3": (1.5, 20),
    "Cu L2,3": (1.0, 17),
}

_CHOICES = {
    "jump_ratio_over": ("spectrum", "background"),
    "jump_ratio_draw": ("uniform", "log-uniform"),
    "stretch_about": ("zero", "middle"),
    "noise_over": ("start", "end"),
}


@dataclass(frozen=True)
class GaussianRecipe:
    """Parameters of ``simulate_gaussian``; a pair is the range of a uniform draw.

    The defaults are those of Kong et al. 2022, Tables 1 and 2, and their text; the last
    group has what they do not have, switched off.
    """

    system: str = "gaussian"

    # -- edges -------------------------------------------------------------------------
    #: edge libraries to draw shapes from: 'shipped', or .toml files of `coreloss edges fit`
    libraries: tuple[str, ...] = ("shipped",)
    #: probability of 1, 2, … edges in a spectrum
    edge_counts: tuple[float, ...] = (0.20, 0.20, 0.20, 0.15, 0.15, 0.10)
    #: edges, each with the highest jump ratio in ``jump_ratio_max``
    edges: tuple[str, ...] = tuple(EDGES)
    jump_ratio_max: tuple[float, ...] = tuple(highest for highest, _ in EDGES.values())
    jump_ratio_min: float = 0.15
    #: intensity at the start of an edge, over which its peak is measured: that of the
    #: 'spectrum' there (background and tails of edges before it) or of the 'background'
    jump_ratio_over: str = "spectrum"

    # -- point spread function, one a spectrum -----------------------------------------
    #: Gaussian energy spread of the beam, full width at half maximum [eV]
    fwhm_ev: Range = (0.1, 1.6)
    #: Lorentzian spread of the detector, half width at half maximum [eV]
    hwhm_ev: Range = (0.1, 0.6)

    # -- tails and background ----------------------------------------------------------
    #: power of the energy with which an edge goes on beyond its shape
    extension_power: Range = (-3.8, -1.8)
    #: background E^-r: mean and standard deviation of r, and its lower limit
    background_exponent: tuple[float, float] = (1.88, 0.2)
    background_exponent_min: float = 0.1

    # -- energies ----------------------------------------------------------------------
    #: the record, whose background is 1 at its start [eV], and its channel width
    range_ev: Range = (50.0, 1100.0)
    dispersion_ev: float = 0.2
    #: contraction or expansion of the axis (± this)
    stretch: float = 0.015
    #: shift of the axis (± this) [eV]
    shift_ev: float = 15.0

    # -- noise -------------------------------------------------------------------------
    #: standard deviation of white Gaussian noise, before the filter
    noise: float = 0.0012
    #: frame of the Savitzky–Golay filter of first order [channels], odd numbers within
    filter_frame: tuple[int, int] = (30, 60)
    #: factor on the filtered noise
    noise_factor: Range = (1.0, 2.0)

    # -- additions, off in the paper ---------------------------------------------------
    #: fraction of records cut to a window, and its length [eV] (log-uniform)
    window_fraction: float = 0.0
    window_ev: Range = (60.0, 900.0)
    #: fraction of records without any edge
    empty_fraction: float = 0.0
    #: fraction of records with white noise as well, and its standard deviation over the
    #: record's lowest background (log-uniform)
    white_noise_fraction: float = 0.0
    white_noise: Range = (0.01, 0.2)
    #: draw of jump ratios: 'uniform' or 'log-uniform'
    jump_ratio_draw: str = "uniform"
    #: whether a window is placed so that an edge of the spectrum lies in it
    window_on_edge: bool = False
    #: mean size of the axis shift [eV] of a two-sided exponential distribution cut off at
    #: ``shift_ev``; 0 for the paper's uniform one
    shift_scale_ev: float = 0.0
    #: energy that a stretch leaves in place: 'zero', or the 'middle' of the record
    stretch_about: str = "zero"
    #: fraction of records with the filtered noise, and the background that 'noise' is measured
    #: over: that at the 'start' of the range, or the record's lowest in the same proportion
    #: as in the paper on average ('end')
    filtered_noise_fraction: float = 1.0
    noise_over: str = "start"
    #: signal-to-noise ratio from which an edge is labelled; 0 labels all
    snr_present: float = 0.0

    #: width of the recorded channels [eV] (log-uniform); 0 for ``dispersion_ev``, without
    #: anything below
    channel_ev: Range = (0.0, 0.0)
    #: fraction of records with counting noise, and their mean dose [electrons/eV] (log-uniform)
    dose_fraction: float = 0.0
    dose: Range = (1e2, 1e7)
    #: standard deviation of the detector's gain from channel to channel
    gain: Range = (0.0, 0.0)
    #: fraction of records on a constant level, over the lowest background (log-uniform)
    level_fraction: float = 0.0
    level: Range = (0.1, 10.0)
    #: t/λ of plural scattering; energy and width of the plasmon [eV]
    thickness: Range = (0.0, 0.0)
    plasmon_ev: Range = (14.0, 30.0)
    plasmon_fwhm_ev: Range = (4.0, 16.0)
    #: factor on an edge's peaks over its tail (log-uniform)
    peaks: Range = (1.0, 1.0)

    def __post_init__(self) -> None:
        if self.system != "gaussian":
            raise ValueError(f"system is {self.system!r}; this recipe is of system 'gaussian'")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"simulation parameter {name} is {getattr(self, name)!r}; choose "
                    f"{' or '.join(choices)}"
                )
        if len(self.edges) != len(self.jump_ratio_max):
            raise ValueError(
                f"edges has {len(self.edges)} entries and jump_ratio_max "
                f"{len(self.jump_ratio_max)}; each edge needs one"
            )
        if len(set(self.elements)) != len(self.edges):
            raise ValueError("edges names an element twice; one edge an element is modelled")
        if min(self.edge_counts, default=-1) < 0 or not sum(self.edge_counts) > 0:
            raise ValueError(f"edge_counts is {self.edge_counts}; it takes probabilities")
        if len(self.edge_counts) > len(self.edges):
            raise ValueError(
                f"edge_counts goes to {len(self.edge_counts)} edges, of which there are "
                f"{len(self.edges)}"
            )
        if not 0 < self.jump_ratio_min <= min(self.jump_ratio_max):
            raise ValueError(
                f"jump_ratio_min is {self.jump_ratio_min}; it must lie above 0 and not above "
                f"the lowest jump_ratio_max, {min(self.jump_ratio_max)}"
            )
        for f in fields(self):
            value = getattr(self, f.name)
            if f.type == "Range" and (len(value) != 2 or value[0] > value[1]):
                raise ValueError(
                    f"simulation parameter {f.name} is {value}; it takes two numbers, "
                    "the lower first"
                )
            if f.name.endswith("_fraction") and not 0 <= value <= 1:
                raise ValueError(
                    f"simulation parameter {f.name} is {value}; it must lie between 0 and 1"
                )
        if self.dispersion_ev <= 0 or self.range_ev[0] <= 0:
            raise ValueError("dispersion_ev and range_ev must be positive")
        first = {"channel_ev": self.channel_ev[1], "dose_fraction": self.dose_fraction,
                 "gain": self.gain[1], "level_fraction": self.level_fraction,
                 "thickness": self.thickness[1], "snr_present": self.snr_present,
                 "peaks": self.peaks != (1.0, 1.0)}  # fmt: skip
        if not self.channel_ev[1] and any(first.values()):
            asked = next(name for name, value in first.items() if value)
            raise ValueError(f"{asked} needs channel_ev as well: the width of recorded channels")
        if self.channel_ev[1] and self.channel_ev[0] < self.dispersion_ev:
            raise ValueError(
                f"channel_ev is {self.channel_ev}; recorded channels cannot be narrower than "
                f"dispersion_ev, {self.dispersion_ev}"
            )
        if not self.frames:
            raise ValueError(f"filter_frame is {self.filter_frame}; no odd number lies within")

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of the edges, which are the labels."""
        return tuple(edge.split()[0] for edge in self.edges)

    @property
    def frames(self) -> tuple[int, ...]:
        """Odd frame lengths of the filter [channels]."""
        low, high = self.filter_frame
        return tuple(n for n in range(max(low, 1), high + 1) if n % 2)

    @property
    def labels(self) -> str:
        """'detectable' where faint edges are not labelled, else 'all'."""
        return "detectable" if self.snr_present > 0 else "all"

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, source: str = "recipe") -> GaussianRecipe:
        """A recipe from a mapping; lists become tuples.

        Raises ValueError for an unknown key, naming the nearest known one, and for a value
        of the wrong kind.
        """
        return from_table(cls, values, source=source, what="simulation parameter")

    def to_dict(self) -> dict[str, Any]:
        """Every parameter, tuples as lists."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
