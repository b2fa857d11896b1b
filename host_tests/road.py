"""A node here, a broker there, and between them a path that can be made bad."""

import contextlib
from collections import namedtuple

from host_tests.conftest import Broker
from host_tests.lossy_path import FAR, LossyPath, missing
from host_tests.relay import Relay

Road = namedtuple("Road", "path broker host port near far")
Road.__doc__ = """path: LossyPath or Relay: `delay_s`, `loss`, `blackhole`, `refuse()`, `accept()`. broker: Broker.

host, port: of the broker as the node must call it; broker.host and .port: as others do. Nodes begin in
`with near():`, who talks to the broker itself in `with far():`.
"""


class _FarBroker(Broker):
    host = FAR


@contextlib.contextmanager
def road(folder, delay_s=0.0, loss=0.0, seed=0, **options):
    """A Road of network namespaces, or where there are none of a relay; options: of the Broker."""
    with contextlib.ExitStack() as stack:
        if missing():
            broker = Broker(folder, **options)
            stack.callback(broker.stop)
            path = stack.enter_context(Relay(broker.port, delay_s, loss, seed))
            yield Road(path, broker, broker.host, path.port, contextlib.nullcontext, contextlib.nullcontext)
            return
        path = stack.enter_context(LossyPath(delay_s, loss, seed))
        with path.far.inside():
            broker = _FarBroker(folder, **options)
        stack.callback(broker.stop)
        yield Road(path, broker, broker.host, broker.port, path.near.inside, path.far.inside)
