"""The chart of a run: a panel for each headline, a bar for each that was measured. One SVG for light and dark pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, NAMES, FIGURES = 760, 190, 150
BAR, GAP, TITLE, PANEL = 16, 6, 26, 14
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; } .paper { fill: #ffffff; } .ours { fill: #1a7f37; } .peer { fill: #8c959f; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .paper { fill: #0d1117; } .ours { fill: #3fb950; } .peer { fill: #6e7681; }
  }
"""


@dataclass(frozen=True)
class Bar:
    name: str
    value: float
    label: str
    is_ours: bool


@dataclass(frozen=True)
class Panel:
    title: str
    bars: Sequence[Bar]

    @property
    def height(self) -> int:
        return TITLE + len(self.bars) * (BAR + GAP) + PANEL


def draw(panels: Sequence[Panel], caption: str) -> str:
    """Return the SVG. Within a panel the longest bar is the largest value, whatever its unit."""
    height = TITLE + sum(panel.height for panel in panels) + PANEL
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(caption)}</title><style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        f'<text x="{PANEL}" y="{TITLE - 6}">{escape(caption)}</text>',
    ]
    top = TITLE + PANEL // 2
    for panel in panels:
        parts += _panel(panel, top)
        top += panel.height
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, top: int) -> list[str]:
    parts = [f'<text class="title" x="{PANEL}" y="{top + TITLE - 10}">{escape(panel.title)}</text>']
    longest = max((bar.value for bar in panel.bars), default=0) or 1
    for place, bar in enumerate(panel.bars):
        y = top + TITLE + place * (BAR + GAP)
        length = max(1.0, bar.value / longest * (WIDTH - NAMES - FIGURES - PANEL))
        kind = "ours" if bar.is_ours else "peer"
        parts += [
            f'<text x="{NAMES - 8}" y="{y + BAR - 4}" text-anchor="end">{escape(bar.name)}</text>',
            f'<rect class="{kind}" x="{NAMES}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>',
            f'<text x="{NAMES + length + 6:.1f}" y="{y + BAR - 4}">{escape(bar.label)}</text>',
        ]
    return parts
