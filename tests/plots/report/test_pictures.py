"""Figures inside of the report can neither clash with each other nor do anything."""

from pathlib import Path

import pytest

from punzinet.analysis.io.errors import InputError
from punzinet.plots.report.pictures import inline_svg

GRAPHIC = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
 width="10" viewBox="0 0 1 1" onload="alert(1)"><style>* {color: red}</style>
<defs><clipPath id="a"><rect width="1" height="1"/></clipPath><path id="dot" d="M0 0"/></defs>
<script>alert(1)</script><g id="unused" clip-path="url(#a)"><use xlink:href="#dot"/></g>
<image href="https://elsewhere.example/x.png"/><rect fill="url(https://elsewhere.example/)"/>
</svg>"""


@pytest.fixture
def graphic(tmp_path: Path) -> Path:
    path = tmp_path / "figure.svg"
    path.write_text(GRAPHIC)
    return path


def test_identifiers_of_two_figures_never_meet(graphic: Path) -> None:
    one, other = (str(inline_svg(graphic, name, "A figure")) for name in ("one", "other"))
    assert 'id="one-a"' in one
    assert "url(#one-a)" in one
    assert 'href="#one-dot"' in one
    assert one.replace("one-", "other-") == other
    assert "unused" not in one


@pytest.mark.parametrize("gone", ["script", "style", "onload", "elsewhere", "alert"])
def test_nothing_in_a_figure_runs_or_is_loaded(graphic: Path, gone: str) -> None:
    assert gone not in str(inline_svg(graphic, "one", "A figure"))


def test_titles_are_escaped(graphic: Path) -> None:
    assert "<b>" not in str(inline_svg(graphic, "one", '"><b>'))


@pytest.mark.parametrize("content", ["", "<html/>", "<svg>", "\x00"])
def test_what_is_no_graphic_is_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "figure.svg"
    path.write_text(content)
    with pytest.raises(InputError, match="no vector graphic"):
        inline_svg(path, "one", "A figure")
