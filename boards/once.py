"""Code that runs once and is let go: on a board it would stand on the heap."""

import sys


def once(module, name, *args):
    """What function `name` of `module` gives for `args`; the module is forgotten."""
    result = getattr(__import__(module, None, None, (name,)), name)(*args)
    package, _, leaf = module.rpartition(".")
    sys.modules.pop(module)
    delattr(sys.modules[package], leaf)
    return result
