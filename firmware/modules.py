"""Modules that have done their work."""

import sys


def forget(*names):
    """Let go of those that are loaded: both places that hold one (their package is the other)."""
    for name in names:
        package, _, module = name.rpartition(".")
        if sys.modules.pop(name, None) and package:
            delattr(sys.modules[package], module)
