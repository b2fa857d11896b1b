"""The thread that writes to the archive: group commit, acknowledgement after it, endurance when it fails."""

import queue
import sqlite3
import threading
import time

_STOP = object()


class ArchiveWriter:
    """Stores messages in batches; owns its Archive while it runs.

    A batch is closed by `batch` messages or `linger_s` after its first one, and takes in what else waits.
    16 stays below the 20 unacknowledged messages at which mosquitto, asked by MQTT 3.1.1, stops sending.

    on_stored(receipts, Stored): a batch is on the disk. on_trouble(sqlite3.Error): the archive refuses, which is
    tried again every `retry_s`. on_recovered(refused): it stores again; so many messages were not taken.
    All three run in the writer's thread.
    """

    def __init__(self, archive, on_stored, on_trouble, on_recovered,
                 batch=16, linger_s=0.05, retry_s=1.0, waiting_max=65536):
        self._archive = archive
        self._on_stored, self._on_trouble, self._on_recovered = on_stored, on_trouble, on_recovered
        self._batch, self._linger_s, self._retry_s = batch, linger_s, retry_s
        self._queue = queue.Queue(waiting_max)
        self._refused = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)

    def start(self):
        self._thread.start()

    def put(self, entry, receipt):
        """`entry`: archive.Entry -> bool, False when too many wait: the message is not taken and must not be
        acknowledged.
        """
        try:
            self._queue.put_nowait((entry, receipt))
        except queue.Full:
            self._refused += 1
            return False
        return True

    def stop(self):
        """Stores what waits (one attempt if the archive refuses) and ends; blocks meanwhile."""
        self._stopping.set()
        self._queue.put(_STOP)
        self._thread.join()

    def _run(self):
        ended = False
        while not ended:
            messages = self._gather()
            ended = messages[-1] is _STOP
            if ended:
                messages.pop()
            if messages and not self._store(messages):
                return

    def _gather(self):
        """-> list of messages, at least one; _STOP only as its last."""
        messages = [self._queue.get()]
        until = time.monotonic() + self._linger_s
        while messages[-1] is not _STOP:
            enough = len(messages) >= self._batch
            if len(messages) >= 64 * self._batch:
                break
            try:
                messages.append(self._queue.get(not enough, max(0, until - time.monotonic())))
            except queue.Empty:
                break
        return messages

    def _store(self, messages):
        """-> bool, False when it was not possible before the end."""
        batch = [entry for entry, _ in messages]
        trouble = None
        while True:
            try:
                stored = self._archive.store(batch)
                break
            except sqlite3.Error as error:
                if str(error) != trouble:
                    trouble = str(error)
                    self._on_trouble(error)
                if self._stopping.wait(self._retry_s):
                    return False
        self._on_stored([receipt for _, receipt in messages], stored)
        if trouble is not None:
            refused, self._refused = self._refused, 0
            self._on_recovered(refused)
        return True
