"""A PDC as a PMU sees it: a C37.118 TCP client for commanded mode, for the demonstration and the tests."""

import asyncio

from c37118.command import DATA_OFF, DATA_ON, SEND_CFG1, SEND_CFG2, SEND_HDR, Command
from c37118.decode import decode
from c37118.frame import CFG1, CFG2, DATA, HEADER, kind_of
from c37118.splitter import Splitter

_END = None  # in the queue of data frames: the connection is over


class PdcClient:
    """One connection to a PMU. `idcode`: that of the stream, with which every command goes out.

    `config_frame` is the last configuration answered (decoded), which frames() needs; `splitter` counts what
    was no good frame. Answers raise TimeoutError after `timeout_s`, ConnectionError when the PMU has gone.
    """

    def __init__(self, host, port, idcode, timeout_s=10.0):
        self.host, self.port, self.idcode, self.timeout_s = host, port, idcode, timeout_s
        self.splitter = Splitter()
        self.config_frame = None
        self._answers = {kind: asyncio.Queue() for kind in (HEADER, CFG1, CFG2)}
        self._data = asyncio.Queue()
        self._reader = self._writer = self._task = None

    async def connect(self):
        self._reader, self._writer = await asyncio.wait_for(
            asyncio.open_connection(self.host, self.port), self.timeout_s)
        self._task = asyncio.create_task(self._receive())
        return self

    async def _receive(self):
        try:
            while chunk := await self._reader.read(65536):
                for frame in self.splitter.feed(chunk):
                    kind = kind_of(frame)
                    queue = self._data if kind == DATA else self._answers.get(kind)
                    if queue is not None:
                        queue.put_nowait(frame)
        except ConnectionError:
            pass  # the same to whoever waits: no more will come
        for queue in (self._data, *self._answers.values()):
            queue.put_nowait(_END)

    async def send(self, raw):
        """Bytes as they are, for whatever no command says."""
        self._writer.write(raw)
        await self._writer.drain()

    async def command(self, cmd):
        await self.send(Command(self.idcode, cmd).encode())

    async def raw_answer(self, kind):
        """-> bytes of the next HEADER, CFG1 or CFG2 frame."""
        return await _next(self._answers[kind], self.timeout_s)

    async def header(self):
        """-> str, the header text."""
        await self.command(SEND_HDR)
        return decode(await self.raw_answer(HEADER)).text

    async def config(self, number=2):
        """-> Config, CFG-1 or CFG-2."""
        await self.command(SEND_CFG1 if number == 1 else SEND_CFG2)
        self.config_frame = decode(await self.raw_answer(CFG1 if number == 1 else CFG2))
        return self.config_frame

    async def data_on(self):
        await self.command(DATA_ON)

    async def data_off(self):
        await self.command(DATA_OFF)

    async def raw_frame(self, timeout_s=None):
        """-> bytes of the next data frame."""
        return await _next(self._data, timeout_s or self.timeout_s)

    async def frames(self):
        """Yields (bytes, Data) for each data frame until the connection ends; asks for CFG-2 if need be."""
        if self.config_frame is None:
            await self.config()
        while True:
            raw = await self._data.get()
            if raw is _END:
                self._data.put_nowait(_END)
                return
            yield raw, decode(raw, self.config_frame)

    async def close(self):
        if self._writer is not None:
            self._writer.close()
            self._task.cancel()
            await asyncio.gather(self._task, self._wait_closed(), return_exceptions=True)

    async def _wait_closed(self):
        await self._writer.wait_closed()

    async def __aenter__(self):
        return await self.connect()

    async def __aexit__(self, *_):
        await self.close()


async def _next(queue, timeout_s):
    frame = await asyncio.wait_for(queue.get(), timeout_s)
    if frame is _END:
        queue.put_nowait(_END)  # for the next who asks
        raise ConnectionError("the PMU has closed the connection")
    return frame


class SyncPdcClient:
    """The same without asyncio: every call runs the connection until it is answered."""

    def __init__(self, host, port, idcode, timeout_s=10.0):
        self._runner = asyncio.Runner()
        self._client = self._runner.run(_made(host, port, idcode, timeout_s))

    def header(self):
        return self._runner.run(self._client.header())

    def config(self, number=2):
        return self._runner.run(self._client.config(number))

    def data_on(self):
        self._runner.run(self._client.data_on())

    def data_off(self):
        self._runner.run(self._client.data_off())

    def raw_frame(self, timeout_s=None):
        return self._runner.run(self._client.raw_frame(timeout_s))

    def close(self):
        self._runner.run(self._client.close())
        self._runner.close()


async def _made(*args):
    return await PdcClient(*args).connect()
