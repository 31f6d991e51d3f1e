"""HyperSpy and eXSpy signals: identified, mapped, quantified, and modelled.

>>> import coreloss.hyperspy                                     # doctest: +SKIP
>>> coreloss.hyperspy.identify(s).found                          # doctest: +SKIP
>>> maps = coreloss.hyperspy.map(s)                              # doctest: +SKIP
>>> maps.probabilities, maps.result.table()                      # doctest: +SKIP
>>> coreloss.hyperspy.quantify(s, beta_mrad=20).atomic_percent   # doctest: +SKIP
>>> m = coreloss.hyperspy.to_exspy_model(s)                      # doctest: +SKIP

Signals may be lazy: maps and quantification read them a block at a time. Elements found are
written to ``metadata.Sample.elements``. Only `to_exspy_model` needs eXSpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import Spectra, total_of
from coreloss.identification import Identification, identify_spectra
from coreloss.io import ReadError, from_signal
from coreloss.io.signals import declared_axis, described
from coreloss.maps.amounts import Quantification
from coreloss.maps.elements import ElementMaps, element_maps
from coreloss.maps.output import signal_dictionary
from coreloss.maps.quantification import quantify as _quantify
from coreloss.maps.source import SpectrumImage, image_of, open_image

__all__ = ["MappedSignals", "QuantifiedSignals", "identify", "map", "quantify", "to_exspy_model"]


@dataclass(frozen=True)
class MappedSignals:
    """Element maps as HyperSpy signals.

    What is no attribute here is asked of the probabilities: ``.inav``, ``.data``, ``.metadata``,
    ``.plot()`` and all else that their signal has. Functions that want a signal itself take
    ``.probabilities``.

    Attributes
    ----------
    probabilities : signal, 0 to 1
        One map for each element along the first axis, named in ``metadata.Sample.elements``; NaN
        where a spectrum could not be judged.
    present : signal, uint8
        Where each element is found: 0 or 1.
    result : ElementMaps
        What was found where, what was dropped and why (``.candidates``, ``.table()``), ``.notes``,
        clusters, the state of each pixel; with ``.plot()`` and ``.save()``.
    """

    probabilities: Any
    present: Any
    result: ElementMaps

    def __getattr__(self, name: str) -> Any:
        # copies and pickles ask before there is anything to ask
        if name.startswith("__") or "probabilities" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.probabilities, name)


@dataclass(frozen=True)
class QuantifiedSignals:
    """A quantification as HyperSpy signals.

    Attributes
    ----------
    atomic_percent, atomic_percent_error, atomic_percent_model_error : signal [at%]
        One map for each element along the first axis; errors of counting, and of the model.
    amounts, amounts_error : signal
        In ``result.unit``.
    likelihood_ratio, residual : signal
        As of `coreloss.maps.Quantification`.
    chi2 : signal
        χ² per degree of freedom.
    result : Quantification
        With ``.table()``, ``.plot()`` and ``.save()``.
    """

    atomic_percent: Any
    atomic_percent_error: Any
    atomic_percent_model_error: Any
    amounts: Any
    amounts_error: Any
    likelihood_ratio: Any
    residual: Any
    chi2: Any
    result: Quantification


def identify(signal: Any, **options: Any) -> Identification:
    """The elements of a signal; of several spectra, those of their sum.

    Parameters
    ----------
    signal : HyperSpy or eXSpy signal, lazy or not
    **options
        ``model``, ``threshold``, ``threads``, ``axis_mode`` and ``evidence`` of
        `coreloss.identify`.

    Raises
    ------
    ReadError
        For a signal without an energy axis, or of something else than energy loss.
    SpectrumError, ModelError
        As `coreloss.identify`.
    """
    image = _image(signal)
    total = total_of(np.stack([total_of(image.read(block)) for block in image.blocks()]))
    record = Spectra(total, image.axis, image.metadata, image.notes)
    result = identify_spectra(record, **options)[0]
    _remember(signal, result.found)
    return result


def map(signal: Any, **options: Any) -> MappedSignals:
    """Element maps of a signal as signals: probabilities and presence, one map an element.

    Parameters
    ----------
    signal : HyperSpy or eXSpy signal, lazy or not
    **options
        Of `coreloss.maps.element_maps`; ``low_loss`` may be a signal.

    Returns
    -------
    MappedSignals
        Of Signal2D, of Signal1D for a line scan.

    Raises
    ------
    ReadError
        As `identify`.
    ImportError
        Without HyperSpy.
    ValueError
        As `coreloss.maps.element_maps`.
    """
    maps = element_maps(_image(signal), **_with_low_loss(options))
    _remember(signal, maps.elements)

    def made(values: NDArray[Any], title: str, quantity: str) -> Any:
        return _as_signal(values, maps.axes, title, maps.elements, quantity)

    return MappedSignals(
        made(maps.probabilities, "probabilities", "Probability"),
        made(maps.present.astype(np.uint8), "present", "Presence"),
        maps,
    )


def quantify(
    signal: Any, elements: Sequence[str] | None = None, **options: Any
) -> QuantifiedSignals:
    """Atomic percent and amounts of a signal's elements, in every pixel.

    Parameters
    ----------
    signal : HyperSpy or eXSpy signal, lazy or not
    elements : sequence of str, optional
        Those found, without it.
    **options
        Of `coreloss.maps.quantify`; ``low_loss`` may be a signal, of any dispersion.

    Raises
    ------
    ReadError
        As `identify`.
    ImportError
        Without HyperSpy.
    ValueError
        As `coreloss.maps.quantify`, as where a microscope parameter is missing.
    """
    result = _quantify(_image(signal), elements, **_with_low_loss(options))
    _remember(signal, result.elements)

    def made(values: NDArray[Any], title: str, quantity: str) -> Any:
        return _as_signal(values, result.axes, title, result.elements, quantity)

    return QuantifiedSignals(
        made(result.atomic_percent, "atomic percent", "Composition (at%)"),
        made(result.atomic_percent_errors, "error of atomic percent", "Standard error (at%)"),
        made(
            result.atomic_percent_model_errors,
            "model error of atomic percent",
            "Error of the model (at%)",
        ),
        made(result.amounts, "amounts", f"Amount ({result.unit})"),
        made(result.errors, "error of amounts", f"Standard error ({result.unit})"),
        made(result.likelihood_ratio, "likelihood ratio", "2 Δ ln L"),
        made(result.residual, "residual", "Residual (standard errors)"),
        _as_signal(result.reduced_chi2, result.axes, "chi2", None, "χ² per degree of freedom"),
        result,
    )


def to_exspy_model(
    signal: Any,
    elements: Sequence[str] | None = None,
    *,
    low_loss: Any = None,
    GOS: str = "hydrogenic",
    **options: Any,
) -> Any:
    """An eXSpy model of a signal with the elements found (or given), its background and edges.

    They take the place of elements that the signal declared.

    Parameters
    ----------
    signal : exspy EELSSpectrum
        With beam energy and angles in its metadata.
    elements : sequence of str, optional
    low_loss : exspy EELSSpectrum, optional
    GOS : str
        eXSpy's; 'hydrogenic' needs no download.
    **options
        Of `identify`.

    Raises
    ------
    TypeError
        For a signal that is no eXSpy EELS spectrum.
    ValueError
        If no element is found, or the metadata lack a microscope parameter.
    """
    if not hasattr(signal, "create_model") or not hasattr(signal, "add_elements"):
        raise TypeError(
            f"{type(signal).__name__} is no eXSpy EELS spectrum; "
            "call signal.set_signal_type('EELS') with eXSpy installed"
        )
    from coreloss.maps.microscope import microscope_of

    image = _image(signal)
    microscope_of(image.name, image.metadata)
    found = tuple(elements) if elements is not None else identify(signal, **options).found
    if not found:
        raise ValueError(f"{image.name}: no element was found, so there is nothing to model")
    # else those declared before would be in the model too
    signal.elements.clear()
    signal.subshells.clear()
    signal.add_elements(found)
    return signal.create_model(low_loss=low_loss, GOS=GOS)


def _image(signal: Any) -> SpectrumImage:
    if not getattr(signal, "_lazy", False):
        image = open_image(from_signal(signal))
        axes = [a for a in signal.axes_manager.navigation_axes if a.size > 1]
        axes.sort(key=lambda a: a.index_in_array)
        if tuple(a.size for a in axes) == image.shape:
            from dataclasses import replace

            from coreloss.maps.source import _navigation

            declared = [declared_axis(axis, True) for axis in axes]
            image = replace(image, navigation=_navigation(declared, -1))
        return image
    source, item = described(signal)
    if item.other_kind() is not None:
        raise ReadError(source, f"holds {item.other_kind()}, not EELS", "give an EELS signal")
    return image_of(source, item)


def _with_low_loss(options: dict[str, Any]) -> dict[str, Any]:
    """Options with a low loss that is a signal as an image."""
    low_loss = options.get("low_loss")
    return (
        {**options, "low_loss": _image(low_loss)} if hasattr(low_loss, "axes_manager") else options
    )


def _remember(signal: Any, elements: Sequence[str]) -> None:
    signal.metadata.set_item("Sample.elements", sorted(elements))


def _as_signal(
    values: NDArray[Any],
    axes: Sequence[Any],
    title: str,
    names: Sequence[str] | None,
    quantity: str,
) -> Any:
    try:
        import hyperspy.api as hs
    except ImportError:
        raise ImportError(
            "maps as signals need HyperSpy; install it with: pip install 'coreloss[hyperspy]'"
        ) from None
    told = signal_dictionary(values, axes, title=title, names=names, quantity=quantity)
    told["metadata"].pop("_HyperSpy")
    keep = ("size", "scale", "offset", "units", "name", "navigate")
    described = [{k: axis[k] for k in keep} for axis in told["axes"]]
    kind = hs.signals.Signal2D if len(axes) > 1 else hs.signals.Signal1D
    return kind(told["data"], axes=described, metadata=told["metadata"])
