"""``python -m minigrad``: what there is; ``check`` and ``grade`` for backward passes derived by hand, ``emit`` for C."""

import sys

import minigrad
from minigrad.checks.command import main

if __name__ == "__main__":
    sys.exit(main(version=minigrad.__version__))
