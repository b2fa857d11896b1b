"""Makes a node part of its segment's gossip. Run once, then let go; a node without gossip never loads it."""

from firmware.answers import Answers
from firmware.gossip import Gossip


def join(config, board, shelf, boot, log, tell, facts, measured=None):
    """The Gossip of a configuration; None where the segment has no key. measured: see Answers."""
    settings = config["gossip"]
    if not settings["segment_key"]:
        log.warning("no segment key: no gossip; gridmote provision makes one")
        return None
    made = Gossip(config, board.network, shelf, boot, board.clock, log, tell)
    made.answers = Answers(made, board.clock, facts.get("app", ""), settings, measured)
    queries = made.stack.queries
    queries.bounds, queries.most = made.answers.bounds, 4 * settings["population"]
    return made


def measuring(config, board, boot, meter, values, tell, log, facts):
    """The same of a node that measures."""
    from firmware.measured import Measured
    from firmware.shelf import Shelf

    measurement = config["measurement"]
    rectangular = measurement["format"].endswith("rectangular")
    measured = Measured(meter, board.source.channels, values, measurement["f0_hz"], rectangular)
    return join(config, board, Shelf(board.storage), boot, log, tell, facts, measured)
