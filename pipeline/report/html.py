"""One page that holds all it needs: no network, light and dark, narrow screens, paper."""

from __future__ import annotations

import base64
import contextlib
import html
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from backends.folder import cache_folder, is_own, is_private
from pipeline import files
from pipeline.errors import BackendError, RunError
from pipeline.report.parts import Chart, Heading, Part, Picture, Table, Text

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; img-src data: blob:">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1d2129; --soft: #5c6370; --line: #d8dce3; --ground: #ffffff; --mark: #e7f2fb; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e4e6ea; --soft: #9aa2af; --line: #3a404b; --ground: #16181d; --mark: #1e3447; }} }}
body {{ font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); }}
body {{ margin: 0 auto; padding: 1.2em; max-width: 1100px; }}
h1 {{ font-size: 1.6em; margin: 0 0 .4em; overflow-wrap: anywhere; }}
h2 {{ font-size: 1.2em; margin: 1.8em 0 .5em; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }}
p {{ max-width: 75ch; overflow-wrap: anywhere; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .93em; }}
td, th {{ padding: .25em .8em .25em 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap; }}
td.long {{ white-space: normal; overflow-wrap: anywhere; min-width: 14em; }}
.right {{ text-align: right; }}
tr.best {{ font-weight: 600; background: var(--mark); }}
figure {{ margin: 1em 0; break-inside: avoid; }}
figcaption {{ color: var(--soft); font-size: .93em; }}
.charts {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 330px), 1fr)); gap: 0 1.6em; }}
.charts figure.wide {{ grid-column: 1 / -1; }}
.chart {{ width: 100%; }} img {{ max-width: 100%; background: white; border-radius: 4px; }}
@media print {{ body {{ max-width: none; padding: 0; }} h2 {{ break-after: avoid; }} .wide {{ overflow: visible; }} }}
</style></head><body>
{body}
<script type="module">{bundle}
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
const ink = dark ? "#e4e6ea" : "#1d2129", line = dark ? "#3a404b" : "#d8dce3";
const axis = {{labelColor: ink, titleColor: ink, gridColor: line, domainColor: line, tickColor: line, labelLimit: 160}};
const config = {{background: null, axis: axis, legend: {{labelColor: ink, titleColor: ink, orient: "bottom", columns: 2, labelLimit: 320}},
                view: {{stroke: null}}, font: "system-ui, sans-serif"}};
for (const [place, spec] of Object.entries({specs}))
  vegaEmbed("#" + place, {{...spec, width: "container", autosize: {{type: "fit-x", contains: "padding"}}}},
            {{actions: false, config: config}});
</script></body></html>
"""
LONG = 40  # characters of a cell from which on it may break


def page(parts: Sequence[Part]) -> str:
    """The document.  Raises BackendError where the library that draws the charts is not installed."""
    body: list[str] = []
    specs: dict[str, Mapping[str, Any]] = {}
    for part, before, after in zip(parts, [None, *parts], [*parts[1:], None], strict=False):
        if isinstance(part, Chart) and not isinstance(before, Chart):
            body.append('<div class="charts">')
        if isinstance(part, Chart):
            place = f"chart{len(specs)}"
            specs[place] = part.spec
            kind, said = ' class="wide"' if part.wide else "", html.escape(part.caption)
            body.append(f'<figure{kind}><div class="chart" id="{place}"></div><figcaption>{said}</figcaption></figure>')
            if not isinstance(after, Chart):
                body.append("</div>")
        elif isinstance(part, Picture):
            data, said = base64.b64encode(part.png).decode(), html.escape(part.caption)
            body.append(f'<figure><img alt="{said}" src="data:image/png;base64,{data}"><figcaption>{said}</figcaption></figure>')
        else:
            body.append(_written(part))
    title = next((part.text for part in parts if isinstance(part, Heading)), "report")
    shown = json.dumps(specs, ensure_ascii=True).replace("</", "<\\/")
    return PAGE.format(title=html.escape(title), body="\n".join(body), bundle=_bundle() if specs else "", specs=shown)


def _written(part: Heading | Text | Table) -> str:
    if isinstance(part, Heading):
        return f"<h{part.level}>{html.escape(part.text)}</h{part.level}>"
    if isinstance(part, Text):
        return f"<p>{html.escape(part.text)}</p>"
    right = [_numeric([row[place] for row in part.rows]) for place in range(len(part.heading))]
    head = "".join(_cell(text, "th", right=right[place]) for place, text in enumerate(part.heading))
    lines = []
    for number, row in enumerate(part.rows):
        cells = "".join(_cell(text, "td", right=right[place]) for place, text in enumerate(row))
        lines.append(f"<tr{' class=best' if number == part.bold else ''}>{cells}</tr>")
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n' + "\n".join(lines) + "\n</tbody></table></div>"


def _cell(text: str, tag: str, *, right: bool) -> str:
    kind = ' class="right"' if right else ' class="long"' if tag == "td" and len(text) > LONG else ""
    return f"<{tag}{kind}>{html.escape(text)}</{tag}>"


def _numeric(cells: Sequence[str]) -> bool:
    found = [cell for cell in cells if cell]
    return bool(found) and all(cell.lstrip("-+")[:1].isdigit() and len(cell) < LONG for cell in found)


def _bundle() -> str:
    """Vega, Vega-Lite and the code that embeds them, made once for each version and kept in the cache."""
    try:
        import vl_convert  # noqa: PLC0415  # the extra `report`
    except ImportError:
        raise BackendError(
            "the charts of a page need vl-convert-python (pip install 'caviar-pipeline[report]' brings it); format=markdown does without"
        ) from None
    kept = cache_folder("report") / f"vega-{version('vl-convert-python')}.js"
    with contextlib.suppress(OSError):
        if is_private(kept.parent) and is_own(kept.lstat()):  # it runs in the browser of whoever reads the report
            return kept.read_text(encoding="utf-8")
    made = str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed")).replace("</script", "<\\/script")
    with contextlib.suppress(OSError, RunError):  # without a cache it is made again the next time
        if is_private(kept.parent):
            files.write(kept, made)
            kept.chmod(0o600)
    return made
