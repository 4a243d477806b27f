"""Forty-four kinds of text that a picture must show as they are, and obey in nothing."""


from minigrad.viz import Picture, draw

from minigrad import Parameter, Tensor, scope, tanh, time_step

NASTY = {
    "quote": 'say "hi"',
    "apostrophe": "it's",
    "backslash": "a\\b",
    "backslash n": "C:\\new",
    "backslashes before a quote": '\\\\"',
    "trailing backslash": "end\\",
    "Graphviz's escapes": "\\N \\G \\E \\T \\H \\L \\l \\r",
    "ampersand": "Tom & Jerry",
    "entity": "&amp; &lt; &quot;",
    "numeric entity": "&#60;b&#62; &#x3c;",
    "unfinished entity": "a&b;c &nbsp",
    "angle brackets": "a < b > c",
    "tag": "<b>bold</b>",
    "script": "<script>alert(1)</script>",
    "handler": '"><img src=x onerror=alert(1)>',
    "end of title": "</title></svg><script>alert(1)</script>",
    "end of script": "</script><script>alert(1)</script>",
    "end of CDATA": "]]> <![CDATA[x]]>",
    "comment": "<!-- x --> -->",
    "HTML-like label": "<html>",
    "DOT record": "{a|b} <port> |",
    "end of statement": '"]; injected [label="x',
    "newline": "one\ntwo",
    "carriage return": "one\rtwo",
    "both": "one\r\ntwo",
    "tab": "one\ttwo",
    "empty": "",
    "space": " ",
    "spaces around": "  x  ",
    "ten thousand characters": "x" * 10_000,
    "ten thousand ampersands": "&" * 10_000,
    "emoji": "🔥",
    "joined emoji": "👩‍💻",
    "new emoji": "\U0001fae8",
    "right to left": "שלום עולם",
    "override of direction": "\u202egnol",
    "combining": "e\u0301\u0302\u0303",
    "wide": "名前_時",
    "NUL": "nul\x00",
    "bell": "\x07ring",
    "escape sequence": "\x1b[31mred\x1b[0m",
    "surrogate": "\ud800",
    "underscores": "_a__b_",
    "TeX": "$(rm -rf /) $x^2$ \\input{x} %{#~",
}


def graph_of(name: str) -> Tensor:
    """Two steps in which everything has that name."""
    W = Parameter([[0.5]], name=name)
    with time_step(0):
        h = Tensor([[1.0]], requires_grad=True, name=name)
    for t in (1, 2):
        with scope(name or "nameless"), time_step(t):
            h = tanh(h @ W.T + Tensor([[0.1]], name=name)).named(name)
    return (h * h).sum().named(name)


def picture_of(name: str) -> Picture:
    """Their picture, whose hover texts tell the whole name."""
    picture = draw(graph_of(name), title=name)
    picture.scene.boxes = [box._replace(full_name=name) for box in picture.scene.boxes]
    return picture
