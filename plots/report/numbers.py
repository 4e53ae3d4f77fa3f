"""How the report writes numbers, and the names of processes."""

import math
import re
import unicodedata
from typing import Any

DIGITS = 4  # of a number that comes without an uncertainty
_SUPERSCRIPTS = str.maketrans("+-0123456789", "⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None, digits: int = DIGITS) -> str:
    """Write a number as people read it: a dash for None and NaN, whole numbers with all digits."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}".replace(",", "\u202f").replace("-", "−")
    if abs(value) >= 10**digits and abs(value) < 1e15:
        return number(round(value))
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    power = f"·10{str(int(exponent)).translate(_SUPERSCRIPTS)}" if exponent else ""
    return mantissa.replace("-", "−") + power


def with_error(value: float | None, error: float | None) -> str:
    """Write a number with its uncertainty, if that is known, both to the second digit of it."""
    if value is None or not error or not math.isfinite(value) or not math.isfinite(error):
        return number(value)
    places = 1 - math.floor(math.log10(abs(error)))
    if not -3 <= places <= 6:
        return f"{number(value)} ± {number(error, 2)}"
    shown = max(places, 0)
    return f"{round(value, places):.{shown}f} ± {round(error, places):.{shown}f}".replace("-", "−")


def text(value: Any) -> str:
    """Write anything that JSON can express and that stands in one cell of a table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, int | float):
        return number(value)
    if isinstance(value, list | tuple):
        return ", ".join(text(item) for item in value)
    return str(value)


def duration(seconds: float) -> str:
    """Write a duration in the two units that matter."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def plain_label(name: str, mathtext: str) -> str:
    r"""Write a label of figures without TeX, for example ``$\tau^+\tau^-$`` as ``τ⁺τ⁻``.

    The name stands where the label has more TeX than Greek letters and superscripts.
    """

    def greek(match: re.Match[str]) -> str:
        if match[1] == "to":
            return " → "
        letter = match[1].replace("lambda", "lamda")
        try:
            return unicodedata.lookup(f"GREEK SMALL LETTER {letter.upper()}")
        except KeyError:
            return match[0]

    plain = re.sub(r"\\([a-z]+) ?", greek, mathtext)
    plain = re.sub(r"\\mathrm\{([^{}]*)\}", r"\1", plain)
    plain = re.sub(r"\^([-+0-9])", lambda match: match[1].translate(_SUPERSCRIPTS), plain)
    plain = plain.replace("$", "").replace("'", "′")
    return name if re.search(r"[\\^_{}]", plain) else plain
