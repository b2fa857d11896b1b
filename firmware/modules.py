"""Modules that have done their work."""

import sys


def forget(*names):
    """Let go of them: both places that hold one (their package is the other)."""
    for name in names:
        package, _, module = name.rpartition(".")
        sys.modules.pop(name)
        delattr(sys.modules[package], module)
