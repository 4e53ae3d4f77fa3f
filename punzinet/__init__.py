"""Punzi-net: one network, one loss and one cut for a particle of unknown mass.

Folders of the repository are subpackages: `punzinet.analysis` (physics, statistics, learning),
`punzinet.processors` (coffea), `punzinet.plots` (figures). On top are `stages` and `cli`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from punzinet.analysis.figures_of_merit import FigureOfMerit
    from punzinet.analysis.punzi_loss import PunziLoss
    from punzinet.analysis.saved_network import load_network

__all__ = ["FigureOfMerit", "PunziLoss", "load_network"]

_HOMES = {
    "FigureOfMerit": "figures_of_merit",
    "PunziLoss": "punzi_loss",
    "load_network": "saved_network",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `punzinet --help` needs no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"punzinet.analysis.{_HOMES[name]}"), name)
