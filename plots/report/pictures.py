"""Figures inside of the page with their captions, which cannot clash with it or each other."""

import base64
import re
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from markupsafe import Markup

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.search import Search

#: Titles and captions of figures by file name, in the order of the page. Of a run, besides the
#: spectrum of the mass that windows are in.
_RUN = {
    "sigma_min": (
        "Minimum detectable cross-section",
        "Circles: masses that the networks were trained on; triangles: the others.",
    ),
    "figure_of_merit": (
        "Punzi figure of merit",
        "The inverse of the minimum detectable cross-section: more is better.",
    ),
    "training_history": (
        "Training history",
        "Pretraining with the weighted cross-entropy, then the Punzi-loss.",
    ),
    "output_vs_mass": (
        "Network output against the mass",
        "Before the sigmoid, with the single cut and the best cut of each mass.",
    ),
    "features": ("Features", "Each normalised to one event."),
    "window_widths": ("Widths of the signal peaks", "Filled: fitted; open: interpolated."),
    "signal_peaks": ("Signal peaks with their fits", "Events inside of their own window."),
    "data_recoil_mass": (
        "Data and simulation: recoil mass",
        "Before and after the single cut; the simulation is scaled to what is seen of the data.",
    ),
    "data_features_before": ("Data and simulation: features", "Before the single cut."),
    "data_features_after": ("Data and simulation: features", "After the single cut."),
}
#: Of the limits.
LIMITS = {
    "limit_cross_section": (
        "Expected upper limits on the cross-section",
        "CLs, with the bands of one and two standard deviations.",
    ),
    "limit_coupling": ("Expected upper limits on the coupling", "The same limits on g′."),
}
#: Of the reproduction of the paper.
PAPER = {
    "fig1_network": ("Fig. 1: the network", "Drawn from a trained network, not by hand."),
    "fig2_loss": ("Fig. 2: loss", "For several sizes of batches, and without batches."),
    "fig3_figure_of_merit": ("Fig. 3: largest figure of merit", "Mean over networks."),
    "fig4_sensitivity": ("Fig. 4: minimum detectable cross-section", "Mean over networks."),
    "fig5_signal_output": ("Fig. 5: output for signal", "With the single and the best cuts."),
    "fig6_background_output": ("Fig. 6: output for background", "With the same cuts."),
    "fig7_single_cut": (
        "Fig. 7: one cut against best cuts",
        "One cut on the Punzi-net, best cuts on the network trained with cross-entropy.",
    ),
    "fig8_feature_space": ("Fig. 8: feature space", "Three masses and the surface of the cut."),
    "published": ("Against the published curves", "The published scale is arbitrary."),
    "discontinuities": (
        "Discontinuities",
        "Cuts that change with the mass leave steps in the spectrum; one cut leaves none.",
    ),
    "variations": ("What the result depends on", "One thing changed at a time."),
}
#: Of the comparison with other methods.
BASELINES = {
    "baselines": ("Other methods", "Each judged on the same events."),
    "observables": ("Ranks of observables", "The features against other candidates."),
    "systematics": ("Uncertain background", "Networks that know of it, and others."),
}
#: Of the validation of the simulation.
VALIDATION = {
    "validation_ratios": ("Simulated over published quantities", "With their tolerances."),
    "validation_widths": ("Simulated and published widths", "Of the signal peaks."),
    "validation_mumugamma": ("μ⁺μ⁻(γ) against Pythia 8", "Before the detector."),
    "validation_tautau": ("τ⁺τ⁻ against Pythia 8", "Before the detector."),
}
#: What is let through: matplotlib's figures need no more, and nothing of it runs or loads.
ELEMENTS = {
    "svg", "g", "defs", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "use",
    "image", "text", "tspan", "clipPath", "mask", "pattern", "linearGradient", "radialGradient",
    "stop", "title", "desc", "symbol", "marker",
}  # fmt: skip
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_LOADED = re.compile(r"url\((?!#)|javascript:|expression", re.IGNORECASE)


class Picture(NamedTuple):
    """A figure of the report.

    Attributes:
        name: Its file name without suffix.
        title: The same in words.
        caption: What it shows; empty where that is not known.
        markup: The figure as HTML.
    """

    name: str
    title: str
    caption: str
    markup: Markup


def captions_of_run(search: Search) -> dict[str, tuple[str, str]]:
    """Titles and captions of the figures of a run, without those of limits."""
    mass = search.variable.mass
    spectrum = (
        f"{mass.title.capitalize()} before and after the single cut",
        "Backgrounds stacked, signals drawn over them.",
    )
    return {mass.file_name: spectrum, **_RUN}


def read_pictures(folder: Path, captions: dict[str, tuple[str, str]]) -> list[Picture]:
    """Read all figures of a folder, vector graphics where there are some, else pixels.

    Args:
        folder: Where they lie; it may be absent.
        captions: Of the figures, in their order; others follow by name.

    Raises:
        InputError: If a figure is damaged.
    """
    names = {path.stem for kind in ("svg", "png") for path in folder.glob(f"*.{kind}")}
    order = [name for name in captions if name in names]
    pictures = []
    for name in [*order, *sorted(names - set(order))]:
        words = re.sub(r"[_-]+", " ", name).strip().capitalize()
        title, caption = captions.get(name, (words, ""))
        vector = folder / f"{name}.svg"
        if vector.is_file():
            markup = inline_svg(vector, f"{folder.name}-{name}", title)
        else:
            pixels = base64.b64encode(vector.with_suffix(".png").read_bytes()).decode()
            markup = Markup('<img alt="{}" src="data:image/png;base64,{}">').format(title, pixels)
        pictures.append(Picture(name, title, caption, markup))
    return pictures


def inline_svg(path: Path, prefix: str, title: str) -> Markup:
    """Read a vector graphic as part of a page.

    Identifiers get a prefix, so that those of two figures never meet; identifiers that nothing
    refers to are left out. So are comments, style sheets (they would apply to the whole page),
    scripts and everything that would be loaded from elsewhere.

    Args:
        path: The file.
        prefix: Of its identifiers.
        title: What a screen reader says.

    Raises:
        InputError: If it is no vector graphic.
    """
    try:
        root = ET.fromstring(path.read_bytes())  # noqa: S314 - expat refuses exploding entities
    except (OSError, ET.ParseError) as error:
        raise InputError(
            f"{path} is no vector graphic ({error}); run `punzinet plot --force` again."
        ) from error
    if _local(root.tag) != "svg":
        raise InputError(f"{path} is no vector graphic; run `punzinet plot --force` again.")
    prefix = re.sub(r"[^A-Za-z0-9-]", "-", prefix)
    clean = _clean(root, prefix)
    used = _references(clean)
    for element in clean.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
    for size in ("width", "height"):
        clean.attrib.pop(size, None)
    clean.set("role", "img")
    clean.set("aria-label", title)
    # The bytes are made of allowed elements and attributes only, escaped by the serialiser.
    return Markup(ET.tostring(clean, encoding="unicode"))  # noqa: S704


def _clean(element: ET.Element, prefix: str) -> ET.Element:
    """Copy an element and what is inside of it, as far as both are allowed."""
    attributes = {}
    for key, value in element.attrib.items():
        name = _local(key)
        if name == "id":
            attributes[name] = f"{prefix}-{value}"
        elif name == "href":
            if value.startswith("#"):
                attributes[name] = f"#{prefix}-{value[1:]}"
            elif value.startswith("data:image/png;base64,"):
                attributes[name] = value
        elif not name.lower().startswith("on") and not _LOADED.search(value):
            attributes[name] = _REFERENCE.sub(rf"url(#{prefix}-\1)", value)
    copy = ET.Element(_local(element.tag), attributes)
    if (element.text or "").strip():
        copy.text = element.text
    for child in element:
        if _local(child.tag) in ELEMENTS:
            copy.append(_clean(child, prefix))
    return copy


def _references(root: ET.Element) -> set[str]:
    """Identifiers that something in a graphic refers to."""
    used = set()
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "href" and value.startswith("#"):
                used.add(value[1:])
            used.update(_REFERENCE.findall(value))
    return used


def _local(name: str) -> str:
    """Name of an element or attribute without its namespace."""
    return name.rpartition("}")[2]
