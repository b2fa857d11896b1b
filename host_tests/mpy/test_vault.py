"""A board that has another place for its configuration comes back without its file system."""

import json
import os

from certificate import CERTIFICATE

from boards.unix.board import Board
from firmware import lastgood
from firmware.boot import boot
from firmware.lastgood import VAULT
from firmware.settle import settle

CONFIG = json.dumps(
    {
        "id": "7",
        "topic": {"area": "a", "location_type": "b", "location_id": "c"},
        "broker": {"host": "127.0.0.1", "port": 1},
        "measurement": {"idcode": 7},
        "source": {"kind": "synthetic"},
        "wifi": {"ssid": "net"},
    }
).encode()
SECRETS = b'{"wifi": {"password": "a password"}}'
NODE = "/tmp/gridmote-vault-%s" % os.urandom(4).hex()


class Vault(dict):
    most = 1984

    def put(self, name, data):
        assert len(name) <= 15
        self[name] = data


vault = Vault()


def start(cause="power", note=0):
    board = Board()
    board.node_folder, board.vault, board.write = NODE, vault, lambda text: None
    board.reset_cause, board.note = cause, note
    return board, boot(board, lambda: None, NODE, "", "")


def put(name, data):
    with open(NODE + "/" + name, "wb") as file:
        file.write(data)


def sweep():
    for name in os.listdir(NODE):
        os.remove(NODE + "/" + name)


os.mkdir(NODE)
try:
    put("config.json", CONFIG)
    put("secrets.json", SECRETS)
    board, found = start()
    assert found.facts["config"] == "given" and not vault
    board.note = board.note & 0xFF00 | 2
    settle(board, found.mark, found.facts, found.log)
    assert lastgood.read(board, VAULT) == (CONFIG, SECRETS) and board.note & 0xFF == 0
    sweep()
    board, found = start()  # the file system is lost
    assert found.node and found.facts["config"] == "vault" and "ENOENT" in found.why
    assert found.config["wifi"]["password"] == "a password"
    settle(board, found.mark, found.facts, found.log)
    assert os.listdir(NODE) == ["note"], "what was not given is not made into it"
    put("config.json", b"{")
    put("config.good", b"{")
    board, found = start()
    assert found.facts["config"] == "vault" and "cut off" in found.why
    for name in vault:
        vault[name] = b"x" + vault[name]
    board, found = start()
    assert not found.node and "cut off" in found.why
    vault.clear()
    board, found = start()
    assert not found.node and found.facts["config"] == ""

    # The file that TLS needs comes back, too: alone, torn, or with all the others.
    ca = NODE + "/keys/ca.pem"
    whole = json.loads(CONFIG)
    whole["broker"]["ca"] = ca
    os.mkdir(NODE + "/keys")
    put("config.json", json.dumps(whole).encode())
    put("secrets.json", SECRETS)
    put("keys/ca.pem", CERTIFICATE.encode())
    board, found = start()
    assert found.facts["config"] == "given"
    settle(board, found.mark, found.facts, found.log)
    for harm in ("gone", "torn", "all"):
        os.remove(ca)
        if harm == "torn":
            put("keys/ca.pem", CERTIFICATE[:200].encode())
        elif harm == "all":
            os.rmdir(NODE + "/keys")
            sweep()
        board, found = start(note=0 if harm == "gone" else 3)
        assert found.node and found.facts["config"] == "vault", found.why
        with open(ca) as file:
            assert file.read() == CERTIFICATE
        if harm != "all":
            board, found = start()
            assert found.facts["config"] == "given" and not found.why, found.why
    # What is given anew, with a name of its own, is left alone.
    put("config.json", json.dumps(whole).replace("ca.pem", "other.pem").encode())
    put("keys/other.pem", b"no certificate")
    os.remove(ca)
    board, found = start()
    assert found.facts["config"] == "vault" and "other.pem" in found.why
    os.remove(NODE + "/keys/other.pem")
    os.remove(ca)
    os.rmdir(NODE + "/keys")
finally:
    sweep()
    os.rmdir(NODE)
