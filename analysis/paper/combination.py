"""Claims of several folders, such as of several simulation seeds, side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import read_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.paper.claim import is_met


def combine_claims(folders: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Average the claims of several folders.

    Args:
        folders: Output folders in which the claims have been made, at least one.

    Returns:
        By claim: its text, target, the values by folder, their mean, its standard error from
        their spread, and whether the mean meets the target. A claim without a value in some
        folder has no mean.

    Raises:
        InputError: If a folder has no claims, or not the same ones as the first.
    """
    claims = {str(folder): _read(folder) for folder in folders}
    first = claims[str(folders[0])]
    for folder, content in claims.items():
        if content.keys() != first.keys():
            different = ", ".join(sorted(content.keys() ^ first.keys()))
            raise InputError(
                f"{folder} and {folders[0]} do not hold the same claims ({different}); make both "
                "with the same settings."
            )
    combined = {}
    for name, claim in first.items():
        values = {folder: content[name]["value"] for folder, content in claims.items()}
        known = [value for value in values.values() if value is not None]
        mean = float(np.mean(known)) if len(known) == len(values) else None
        spread = np.std(known, ddof=1) / np.sqrt(len(known)) if len(known) > 1 else None
        combined[name] = {
            "text": claim["text"],
            "values": values,
            "value": mean,
            "error": None if mean is None or spread is None else float(spread),
            "target": claim["target"],
            "met": is_met(mean, claim["at_least"], claim["at_most"]),
        }
    return combined


def _read(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """Read the claims of a folder.

    Raises:
        InputError: If there are none, or they are damaged.
    """
    path = OutputFolder(folder).claims
    content = read_json(path, "punzinet paper")
    needed = {"text", "value", "target", "at_least", "at_most"}
    if not isinstance(content, dict) or not all(
        isinstance(claim, dict) and needed <= claim.keys() for claim in content.values()
    ):
        raise InputError(f"{path} does not hold claims; delete it and run `punzinet paper` again.")
    return content
