"""Drawing tensors: the entry to this package."""
from __future__ import annotations
from viz.diagram import build
from viz.layout import lay_out
from viz.overlay import Overlay
from viz.painting import paint
from viz.svg import write
from minigrad.graph import walk
from minigrad.tensor import seed

def draw(*tensors, gradients=True, title="", full=False):
    nodes = walk(*tensors)
    d = build(nodes, [t.node for t in tensors], full)
    o = Overlay(d, [seed(t, None, "draw") for t in tensors]) if gradients else None
    return paint(d, lay_out(d), o, title)
