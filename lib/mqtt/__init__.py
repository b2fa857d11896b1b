"""MQTT 3.1.1 at QoS 1: packets in and out, the window of messages in flight, when to try again."""
