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

    def __post_init__(self) -> None:
        if self.system != "gaussian":
            raise ValueError(f"system is {self.system!r}; this recipe is of system 'gaussian'")
        if self.jump_ratio_over not in ("spectrum", "background"):
            raise ValueError(
                f"simulation parameter jump_ratio_over is {self.jump_ratio_over!r}; choose "
                "spectrum or background"
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

    #: every edge is labelled, as none is fainter than ``jump_ratio_min``
    labels = "all"
    snr_present = 0.0

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
