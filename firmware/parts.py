"""Parts that a node has whatever its role, made of its configuration. Run once, then let go."""


def topics(config):
    """topic(kind) -> bytes of the topic of that data-type."""
    place = config["topic"]

    def topic(kind):
        levels = (place["area"], place["location_type"], place["location_id"], kind, config["id"])
        return "/".join(levels).encode()

    return topic


def session(config, network, topic):
    """The Session with the broker, its will in STATUS."""
    from firmware.session import Session

    broker = config["broker"]
    made = Session(
        config["id"].encode(),
        network,
        broker["user"].encode() if broker["user"] else None,
        broker["password"].encode(),
        broker["keepalive_s"],
        broker["window"],
        broker["max_packet"],
    )
    made.set_last_will(topic("STATUS"), b'{"state": "offline"}', True, 1)
    return made


def brokers(broker, network):
    """The Broker of the configuration, or its Brokers where it names more than one."""
    if not broker["fallback"]:
        from firmware.broker import Broker

        return Broker(broker["host"], broker["port"])
    from firmware.brokers import Brokers

    addresses = [(one["host"], one["port"]) for one in [broker] + broker["fallback"]]
    return Brokers(network, addresses, broker["back_after_s"] * 1000)


def radio(config, network, log):
    """The Radio, None where there is none."""
    wifi = config["wifi"]
    if not network.station:
        return None
    from firmware.radio import Radio

    return Radio(network.station, wifi["ssid"], wifi["password"], wifi["country"], log)


def asker(config, board, log):
    """What asks for the time, None where the clock needs nobody."""
    if not hasattr(board.clock, "sampled"):
        return None
    from firmware.ntp import Asker

    return Asker(board.clock, board.network, config["ntp"]["servers"], config["ntp"]["every_s"], log)


def start_facts(facts):
    """What EVENT "start" tells of them."""
    return {key: facts[key] for key in ("reset", "during", "stage", "config", "app", "why") if facts.get(key)}
