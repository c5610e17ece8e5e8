"""The look of every HTML page of the report: one self-contained style, dark text on white."""

from __future__ import annotations

import base64
import html
import io
import re

from PIL import Image

CSS = """
body { font: 16px/1.55 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 70rem;
       margin: 2.5rem auto; padding: 0 1.25rem; }
p, ul, ol { max-width: 54rem; }
h1, h2, h3 { line-height: 1.2; margin: 2.2rem 0 .7rem; } h1 { font-size: 1.9rem; } h2 { font-size: 1.45rem; }
h2 { border-top: 1px solid #ddd; padding-top: 1.6rem; } h3 { font-size: 1.1rem; }
a { color: #0072b2; } a.anchor-link { display: none; }
code, pre { font: .86em/1.45 ui-monospace, monospace; } code { background: #f4f4f4; padding: .1em .3em; }
pre { overflow-x: auto; margin: .4rem 0; } 
.input pre { background: #f6f7f8; padding: .7rem .9rem; border-radius: 4px; }
table { display: block; overflow-x: auto; border-collapse: collapse; font-size: .86rem; margin: .8rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .7rem; border-bottom: 1px solid #e4e4e4; }
th { border-bottom: 2px solid #888; } caption { text-align: left; padding-bottom: .3rem; }
details { margin: 1rem 0; } summary { cursor: pointer; color: #0072b2; } li { margin: .15rem 0; }
img { max-width: 100%; height: auto; } figure { margin: 1rem 0; } 
figcaption, p > em:only-child { color: #444; }
.k, .kn, .ow { color: #0072b2; } .s1, .s2, .sa { color: #a33c00; } .c1 { color: #6a6a6a; }
.verdict { font-weight: 600; white-space: nowrap; }
.reproduced, .exact { color: #00664a; } .contradicted { color: #a33c00; } .inconclusive { color: #7a5600; }
.not-run { color: #555; font-weight: 400; }
"""


def page(title: str, body: str) -> str:
    """A whole HTML document, which needs no script and no network."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def draw_formulas(markdown: str) -> str:
    """TeX between dollars, outside of code, as MathML, which browsers draw by themselves."""
    from latex2mathml.converter import convert

    def drawn(found: re.Match[str]) -> str:
        if found["code"]:
            return found[0]
        math = convert(found["block"] or found["inline"], display="block" if found["block"] else "inline")
        return math.replace("*", "&#42;").replace("_", "&#95;")  # or Markdown reads emphasis into it

    pattern = r"(?P<code>```.*?```|`[^`\n]*`)|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+)\$"
    return re.sub(pattern, drawn, markdown, flags=re.DOTALL)


HEAVY = 100_000
"""Bytes from which on an embedded picture is worth being compressed."""


def lighter(body: str) -> str:
    """Embedded PNGs that are heavy as JPEGs, where that is less than half: photographs, and no line drawings."""
    return re.sub(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)", _as_jpeg, body)


def _as_jpeg(found: re.Match[str]) -> str:
    png = base64.b64decode(found[1])
    if len(png) < HEAVY:
        return found[0]
    jpeg = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    Image.alpha_composite(white, picture).convert("RGB").save(jpeg, "JPEG", quality=88)
    if 2 * jpeg.tell() > len(png):
        return found[0]
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.getvalue()).decode()}"
