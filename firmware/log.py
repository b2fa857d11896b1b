"""What is told on the console, by how grave it is."""

LEVELS = ("error", "warning", "info", "debug")
_NONE = object()


class Log:
    """write(text): takes a line. level: one of LEVELS; what is less grave is not said.

    `error`, `warning`, `info`, `debug`: a text and up to three values for its %; what is not said costs no memory.
    Never give one a secret.
    """

    def __init__(self, write, level):
        self._write = write
        self._level = LEVELS.index(level)

    def error(self, text, a=_NONE, b=_NONE, c=_NONE):
        self._say(0, text, a, b, c)

    def warning(self, text, a=_NONE, b=_NONE, c=_NONE):
        self._say(1, text, a, b, c)

    def info(self, text, a=_NONE, b=_NONE, c=_NONE):
        self._say(2, text, a, b, c)

    def debug(self, text, a=_NONE, b=_NONE, c=_NONE):
        self._say(3, text, a, b, c)

    def _say(self, level, text, a, b, c):
        if level > self._level:
            return
        if c is not _NONE:
            text = text % (a, b, c)
        elif b is not _NONE:
            text = text % (a, b)
        elif a is not _NONE:
            text = text % (a,)
        self._write(text)
