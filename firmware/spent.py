"""What a node needs only while it is made. Run once, when it is made, then let go itself.

A class of which there will be no more objects needs no constructor, nor what only that calls; and MQTTClient has
methods that Session does in another way.
"""

import sys

# module, class ("-": functions of the module), names
_SPENT = """
boards.datagrams Datagrams __init__
boards.micro Micro __init__ open
boards.once - once
boards.paced Paced __init__
boards.rp2.adc Sampler __init__
boards.rp2.board Board __init__
boards.sampled Sampled __init__
boards.sockets Sockets __init__
boards.source BlockSource __init__
boards.storage Folder __init__
boards.synthetic - once
boards.synthetic Synthetic __init__
boards.unix.board - _identity _storage once
boards.unix.board Board __init__ _take open
boards.unix.board _Flash __init__
boards.unix.clock - _adjtimex
boards.unix.clock Clock __init__
boards.unix.network Network __init__
boards.unix.replay Replay __init__
boards.wallclock Clock __init__
boards.wifi Station __init__
boards.wifi WifiNetwork __init__
c37118.writer - _fixed _single
c37118.writer DataWriter __init__
energy.registers Registers __init__ restore
firmware.answers Answers __init__
firmware.appliances Appliances __init__
firmware.appliances _Load __init__
firmware.broker Broker __init__
firmware.brokers Brokers __init__
firmware.dial Dial __init__
firmware.energy Energy __init__ _restore _begin_anew
firmware.events Events __init__
firmware.follow FollowUp __init__
firmware.gossip Gossip __init__
firmware.guard Guard __init__
firmware.lamp Lamp __init__
firmware.link Link __init__
firmware.log Log __init__
firmware.main - _nothing load start
firmware.measured Measured __init__
firmware.member Member __init__
firmware.meter Meter __init__
firmware.node Node __init__
firmware.notes Notes __init__
firmware.ntp Asker __init__
firmware.radio Radio __init__
firmware.session Session __init__ set_last_will _write_hello
firmware.shelf Shelf __init__
firmware.signed Signed __init__
firmware.status Status __init__
firmware.streams Streams __init__
firmware.teller Teller __init__
firmware.timekeeper Timekeeper __init__
gossip.checks Checks __init__
gossip.discovery Discovery __init__
gossip.endpoint Endpoint __init__
gossip.lms Verifier __init__
gossip.needs Needs __init__
gossip.peers Peers __init__
gossip.query Queries __init__
gossip.relay Relay __init__ adopt
gossip.repair Repair __init__
gossip.seal Seal __init__
gossip.seen Seen __init__
gossip.stack Stack __init__
gossip.store Kept __init__
gossip.store Store __init__
gossip.trust Trust __init__ _load heard
mqtt.inbound Inbound __init__
mqtt.publish Publish __init__ room
mqtt.timing Pace __init__
mqtt.timing Retry __init__
mqtt.window Window __init__
outbox.backlog Backlog __init__ use
outbox.boots Boots __init__ _load _read
outbox.configs Configs __init__
outbox.durable DurableLog __init__
outbox.log Log __init__
outbox.outbox Outbox __init__
outbox.reader Reader __init__
outbox.ring Ring __init__ begin
outbox.store Store __init__
outbox.stream StreamLog __init__ begin
outbox.thinning Tally __init__
outbox.thinning Thinning __init__
phasor.estimator Estimator __init__ _design
phasor.trigger Trigger __init__ _level
tariff.book Book __init__ _restore
umqtt.simple - MQTTException
umqtt.simple MQTTClient __init__ _recv_len _send_str check_msg connect ping publish set_last_will subscribe wait_msg
"""
# what a node that measures nothing (firmware.member) has no use for, either
_UNUSED = """
boards.storage Folder names read_each remove write
boards.unix.board _Flash write
boards.unix.clock Clock next_second
boards.wallclock Clock locate next_second
firmware.session Session resend
mqtt.window Window full nearly_full
"""


def let_go(word=""):
    """Of all that is loaded, in modules with that word in their name. AttributeError for a name that is not there:
    it was renamed."""
    _let_go(_SPENT, word)
    if "firmware.member" in sys.modules and not word:
        _let_go(_UNUSED, word)


def _let_go(listed, word):
    at, end = 1, listed.find("\n", 1)
    while end > 0:  # line by line: for a copy of it all there may be no room
        module, owner, names = listed[at:end].split(" ", 2)
        at, end = end + 1, listed.find("\n", end + 1)
        holder = sys.modules.get(module)
        if holder and word in module:
            if owner != "-":
                holder = getattr(holder, owner)
            for name in names.split():
                getattr(holder, name)
                setattr(holder, name, None)  # `del` would leave it in its place in the table
