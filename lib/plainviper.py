"""The viper names for CPython, so that a kernel's one source runs there as plain Python.

MicroPython compiles `ptr8`, `ptr16`, `ptr32` itself and never imports this module. Stores
wrap to the width of the pointer and loads are unsigned, as in viper on a 64-bit port
(a 32-bit load there is not sign-extended either: kernels must not rely on it).
"""


class _Pointer:
    __slots__ = ("view", "mask")

    def __init__(self, buf, code, mask):
        if type(buf) is _Pointer:
            buf = buf.view
        view = memoryview(buf)
        self.view = view.cast("B").cast(code) if view.nbytes else view
        self.mask = mask

    def __getitem__(self, i):
        return self.view[i]

    def __setitem__(self, i, value):
        self.view[i] = value & self.mask


def ptr8(buf):
    return _Pointer(buf, "B", 0xFF)


def ptr16(buf):
    return _Pointer(buf, "H", 0xFFFF)


def ptr32(buf):
    return _Pointer(buf, "I", 0xFFFFFFFF)


def const(value):
    return value


class micropython:
    """Stands in for the module of that name: the decorators turn annotated buffers into pointers."""

    @staticmethod
    def viper(kernel):
        code = kernel.__code__
        hints = [kernel.__annotations__.get(name) for name in code.co_varnames[: code.co_argcount]]
        casts = [hint if hint in (ptr8, ptr16, ptr32) else None for hint in hints]

        def plain(*args):
            return kernel(*[cast(a) if cast else a for a, cast in zip(args, casts)])

        plain.__name__ = kernel.__name__
        plain.__doc__ = kernel.__doc__
        return plain

    @staticmethod
    def native(function):
        return function
