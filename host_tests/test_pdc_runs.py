"""Several adapters, one after the other or at once: ports that stay, a session each, late frames."""

import socket
import subprocess

from host_tests.pdc_rig import WAIT_S, Pmu

TOPICS = ["area/secondary-station/%d/PMU/7" % i for i in range(3)]


def free_base():
    """A port below which programs do not get theirs by chance, with three free ones from it on."""
    for base in range(20000, 30000, 10):
        socks = []
        try:
            for port in range(base, base + 3):
                socks.append(socket.create_server(("127.0.0.1", port)))
            return base
        except OSError:
            continue
        finally:
            for sock in socks:
                sock.close()


def test_a_topic_keeps_its_port_in_whatever_order_the_next_run_hears_them(run_adapter, publisher, tmp_path):
    pmu, base = Pmu(), free_base()

    def ports(order):
        adapter = run_adapter("--port", base, "--archive", tmp_path / "a.sqlite")
        adapter.wait_for("broker_found")
        for topic in order:
            publisher.publish(topic, pmu.cfg2)
            publisher.flush()
        found = {topic: adapter.wait_for("pmu", topic=topic)["port"] for topic in order}
        assert {row["topic"]: row["port"] for row in adapter.stop()["pmus"]} == found
        return found

    assert ports(TOPICS[:2]) == {TOPICS[0]: base, TOPICS[1]: base + 1}
    # A new one takes nobody's port, though the others come later.
    assert ports(TOPICS[::-1]) == {TOPICS[2]: base + 2, TOPICS[0]: base, TOPICS[1]: base + 1}


def test_a_second_one_with_the_same_session_ends_before_it_connects(run_adapter, mosquitto, publisher, tmp_path):
    first = run_adapter("--port", 4712)
    first.wait_for("broker_found")
    second = run_adapter("--port", 4712, "--archive", tmp_path / "a.sqlite", stderr=subprocess.PIPE)
    assert second.process.wait(WAIT_S) == 1 and not second.events
    assert "another `gridmote pdc`" in second.process.stderr.read()
    assert not (tmp_path / "a.sqlite").exists()
    for options in (("--port", 4713), ("--port", 4712, "--client-id", "another")):
        run_adapter(*options).wait_for("broker_found")
    first.kill()
    run_adapter("--port", 4712).wait_for("broker_found", session_present=True)
    assert not first.find("broker_lost")


def test_a_session_that_another_computer_takes_over_is_left_to_it(run_adapter, tmp_path):
    options = ("--client-id", "the-one", "--archive")
    first = run_adapter(*options, tmp_path / "a.sqlite", stderr=subprocess.PIPE)
    first.wait_for("broker_found")
    elsewhere = tmp_path / "elsewhere"  # where it sees no lock of the first
    elsewhere.mkdir()
    second = run_adapter(*options, elsewhere / "a.sqlite", environment={"TMPDIR": str(elsewhere)})
    second.wait_for("broker_found", session_present=True)
    assert first.process.wait(WAIT_S) == 1
    assert "took over the session of client id the-one" in first.process.stderr.read()
    assert first.wait_for("session_taken") and not second.find("broker_lost")
    second.stop()


def test_an_archive_has_one_adapter(run_adapter, tmp_path):
    """Whatever client id, TMPDIR and name of the file a second one has; once the first is killed another may."""
    path, link, elsewhere = tmp_path / "a.sqlite", tmp_path / "link.sqlite", tmp_path / "elsewhere"
    elsewhere.mkdir()
    link.symlink_to(path)
    first = run_adapter("--client-id", "one", "--archive", path)
    first.wait_for("broker_found")
    for name in (path, link):
        second = run_adapter("--client-id", "two", "--archive", name, stderr=subprocess.PIPE,
                             environment={"TMPDIR": str(elsewhere)})
        assert second.process.wait(WAIT_S) == 1 and not second.events
        assert second.process.stderr.read() == (
            "gridmote pdc: another `gridmote pdc` writes to %s: end it, or give this one an --archive of its own\n"
            % name)
    first.kill()
    third = run_adapter("--client-id", "two", "--archive", path)
    third.wait_for("broker_found")
    third.stop()
    assert not (tmp_path / "a.sqlite-lock").exists()


def test_late_frames_for_which_no_client_had_asked_are_told_as_such(run_adapter, publisher, tmp_path):
    pmu, options = Pmu(), ("--backfill", "clients", "--archive", tmp_path / "a.sqlite")
    adapter = run_adapter(*options)
    adapter.wait_for("broker_found")
    adapter.stop()
    publisher.publish(TOPICS[0], pmu.cfg2, retain=True)
    for i in range(413):  # the last two seconds, 101 frames, count as live
        publisher.publish(TOPICS[0], pmu.frame(i))
    publisher.flush()
    adapter = run_adapter(*options)
    told = adapter.wait_for("caught_up")
    assert (told["late_frames"], told["to"]) == (312, "archive; no client had asked for data")
    summary = adapter.stop()
    assert (summary["late"], summary["late_unasked"], summary["archived"]) == (312, 312, 413)
