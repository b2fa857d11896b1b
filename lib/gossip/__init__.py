"""Gossip among nodes: datagrams, peers, relay, queries and seals (docs/gossip-wire.md). No sockets, no clock."""
