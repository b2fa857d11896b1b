"""A TCP relay on the loopback that makes a network bad: delay, cut, blackhole, refusal, held-back answers."""

import asyncio
import contextlib
import random
import socket
import struct
import threading

_RTO_S = 0.2  # before the first retransmission on Linux (TCP_RTO_MIN); doubles each time
_RTO_MOST = 8  # doublings


class Relay:
    """Between a client and `port` on the loopback; listens on `self.port`. Use it as a context manager.

    delay_s: in each direction, throughput kept. loss: the share of chunks that are late as a TCP whose packet was
    lost makes them, and all behind them; by a generator with `seed`. blackhole: bytes vanish, connections stay.
    hold: what the broker says is kept back until it is False again. bytewise: the client gets each byte in a
    segment of its own. These may be changed at any time. `connections` and `lost` count.
    """

    host = "127.0.0.1"

    def __init__(self, port, delay_s=0.0, loss=0.0, seed=0):
        self._to = port
        self.delay_s, self.loss = delay_s, loss
        self._random = random.Random(seed)
        self.lost = 0
        self.blackhole = self.hold = self.bytewise = False
        self.connections = self._segments = 0
        self._open = set()
        self._clients = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._server = self._call(self._listen())
        return self

    def __exit__(self, *_):
        self.refuse()
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def refuse(self):
        """Connections are refused, as by a host whose broker is down; those that are open are reset."""

        async def close():
            self._server.close()

        self._call(close())
        self.cut()

    def accept(self):
        """Take connections again, on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._server = self._call(self._listen())

    def cut(self, fin=False):
        """End the open connections: with RST, or with a clean FIN to the client."""

        async def end():
            for writer in list(self._open):
                if writer.is_closing():
                    continue
                if not fin:
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.close()

        self._call(end())

    def segments(self):
        """TCP segments with data that came from clients so far."""

        async def count():
            return self._segments + sum(map(data_segments, self._clients))

        return self._call(count())

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self):
        return await asyncio.start_server(self._serve, sock=self._listener)

    async def _end(self):
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self.connections += 1
        try:
            there_reader, there = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.close()
            return
        ends, client = {writer, there}, writer.get_extra_info("socket")
        self._clients.add(client)
        self._open |= ends
        for end in ends:
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ways = [self._pump(reader, there, False), self._pump(there_reader, writer, True)]
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            with contextlib.suppress(asyncio.CancelledError):  # the relay itself ends
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._segments += data_segments(client)
            self._clients.remove(client)
            for task in tasks:
                task.cancel()
            self._open -= ends
            for end in ends:
                end.close()

    async def _pump(self, reader, writer, back):
        """One direction; ends with the connection."""
        queue = asyncio.Queue()
        sending = asyncio.ensure_future(self._send(queue, writer, back))
        try:
            while chunk := await reader.read(65536):
                queue.put_nowait((self._loop.time() + self.delay_s + self._late_s(), chunk))
            queue.put_nowait((self._loop.time() + self.delay_s, b""))
            await sending
        except OSError:
            return
        finally:
            sending.cancel()

    def _late_s(self):
        """What the retransmissions of one chunk cost."""
        times = 0
        while times < _RTO_MOST and self._random.random() < self.loss:
            times += 1
        self.lost += times
        return _RTO_S * ((1 << times) - 1)

    async def _send(self, queue, writer, back):
        while True:
            due, chunk = await queue.get()
            await asyncio.sleep(max(0, due - self._loop.time()))
            while (self.blackhole and not chunk) or (back and self.hold and not self.blackhole):
                await asyncio.sleep(0.005)  # the end of a connection is not lost: TCP repeats it
            if self.blackhole:
                continue
            if not chunk:
                return
            for piece in [chunk[i : i + 1] for i in range(len(chunk))] if back and self.bytewise else [chunk]:
                writer.write(piece)
                await writer.drain()


def data_segments(sock):
    """Segments with data that a socket has received, as the kernel counts them (tcpi_data_segs_in)."""
    try:
        return struct.unpack_from("I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160), 152)[0]
    except OSError:
        return 0
