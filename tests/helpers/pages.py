"""What README and documentation print."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks(language, text):
    """All blocks of a language in a text, or on a page."""
    text = text.read_text() if isinstance(text, Path) else text
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
