"""Pictures as SVG by the standard library alone, in the style of server/docs: no background, and colours that can be
read on white and on black."""

from xml.sax.saxutils import escape, quoteattr

GREY, BLUE = "#7a8490", "#2f81f7"
# One for each part of a bar or line of a chart, in this order.
COLOURS = (BLUE, "#d9730d", "#2da44e", "#a371f7", "#bf8700", "#e5534b", "#1b9aaa", "#c4588f", GREY)
SANS = "ui-sans-serif, system-ui, 'DejaVu Sans', sans-serif"
MONO = "ui-monospace, 'DejaVu Sans Mono', monospace"
STYLE = """text { fill: %s }
    .name { font-weight: 600; font-size: 15px }
    .box { fill: none; stroke: %s }
    .grid { stroke: %s; stroke-opacity: 0.35 }
    .line { fill: none; stroke-width: 1.5; stroke-linejoin: round }""" % (GREY, GREY, GREY)


def number(value):
    """A coordinate, short: a picture has thousands."""
    return ("%.1f" % value).rstrip("0").rstrip(".")


class Picture:
    """Elements, and what a reader of the picture without eyes is told."""

    def __init__(self, width, height, title, about, style=STYLE, size=14):
        self.parts = [
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" role="img" aria-labelledby="t d"'
            ' font-family="%s" font-size="%d">' % (number(width), number(height), SANS, size),
            '  <title id="t">%s</title>' % escape(title),
            '  <desc id="d">%s</desc>' % escape(about),
            "  <style>\n    %s\n  </style>" % style,
        ]

    def add(self, element):
        self.parts.append("  " + element)

    def text(self, x, y, words, **attributes):
        self.add("<text x=\"%s\" y=\"%s\"%s>%s</text>" % (number(x), number(y), _written(attributes), escape(words)))

    def rect(self, x, y, width, height, **attributes):
        self.add(
            '<rect x="%s" y="%s" width="%s" height="%s"%s/>'
            % (number(x), number(y), number(width), number(height), _written(attributes))
        )

    def line(self, points, colour, dash=""):
        path = " ".join("%s,%s" % (number(x), number(y)) for x, y in points)
        dash = ' stroke-dasharray="%s"' % dash if dash else ""
        self.add('<polyline class="line" stroke="%s"%s points="%s"/>' % (colour, dash, path))

    def grid(self, x, y, width):
        self.add('<path class="grid" d="M%s %sh%s"/>' % (number(x), number(y), number(width)))

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(self.parts + ["</svg>", ""]))


def _written(attributes):
    """`class_` and `text_anchor` are written class and text-anchor."""
    return "".join(
        " %s=%s" % (name.strip("_").replace("_", "-"), quoteattr(str(value)))
        for name, value in attributes.items()
    )


def bar(picture, x, y, width, height, parts):
    """Parts beside each other, [(share of 1, colour, words)]; words stand in a part that is wide enough for them."""
    for share, colour, words in parts:
        part = share * width
        picture.rect(x, y, max(part - 1.5, 0.5), height, fill=colour, fill_opacity="0.85", rx=2)
        if part > 9 * len(words):
            picture.text(
                x + part / 2, y + height / 2 + 5, words, text_anchor="middle", style="fill:#fff;font-weight:600"
            )
        x += part
