"""The plot of `make bench`: processor time per request as bars, in SVG written by hand."""

import html
from collections.abc import Iterator, Sequence

from bench.contenders import NAMES

COLOURS = dict(zip(NAMES, ("#0b6e4f", "#c2571a", "#e0a458", "#8d99ae"), strict=True))
WIDTH, LEFT, RIGHT, TOP, BAR, GAP = 760, 150, 110, 70, 15, 12
FONT = 'font-family="system-ui, sans-serif" font-size="12"'


def draw(result: dict) -> str:
    """Return the SVG document of a result of `bench.speed_report.summarize`."""
    measurements = result["measurements"]
    most = max(one["cpu"] + one["cpuBackends"] for one in measurements)
    bars, height = [], TOP
    for engine, operation in dict.fromkeys((one["engine"], one["operation"]) for one in measurements):
        group = [one for one in measurements if (one["engine"], one["operation"]) == (engine, operation)]
        middle = height + len(group) * BAR / 2 + 4
        bars.append(_text(LEFT - 8, middle, f"{engine}, {operation}", anchor="end"))
        for one in group:
            bars += _bar(one, height, (WIDTH - LEFT - RIGHT) / most)
            height += BAR
        height += GAP
    head = [_text(8, 20, "Processor time per request in µs (pale: Postgres' part)"), *_legend(measurements)]
    return "\n".join([_opening(height), *head, *bars, "</svg>", ""])


def _opening(height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" {FONT} role="img">\n'
        f"<title>Processor time per request</title>\n"
        f'<rect width="{WIDTH}" height="{height:g}" fill="#ffffff"/>'
    )


def _bar(one: dict, top: float, scale: float) -> Iterator[str]:
    colour, worker, backends = COLOURS[one["server"]], one["cpu"] * scale, one["cpuBackends"] * scale
    yield _rectangle(LEFT, top, worker, BAR - 2, colour)
    if backends:
        yield _rectangle(LEFT + worker, top, backends, BAR - 2, colour, opacity=0.4)
    label = f"{one['cpu']:,.0f}" + (f" + {one['cpuBackends']:,.0f}" if backends else "")
    yield _text(LEFT + worker + backends + 5, top + BAR - 4, label)


def _legend(measurements: Sequence[dict]) -> Iterator[str]:
    for place, name in enumerate(dict.fromkeys(one["server"] for one in measurements)):
        left = 8 + place * 150
        yield _rectangle(left, 34, 12, 12, COLOURS[name])
        yield _text(left + 18, 45, name)


def _rectangle(left: float, top: float, width: float, height: float, colour: str, opacity: float = 1) -> str:
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'fill="{colour}" fill-opacity="{opacity:g}"/>'
    )


def _text(left: float, bottom: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{left:.1f}" y="{bottom:.1f}" text-anchor="{anchor}" fill="#222222">{html.escape(text)}</text>'
