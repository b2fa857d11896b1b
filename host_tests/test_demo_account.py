"""What the demonstration counts and measures, of evidence whose truth is known."""

import pytest

from gridmote.demo import times as demo_times
from gridmote.demo.evidence import last_possible, lives
from gridmote.demo.plan import Plan
from gridmote.demo.result import counts
from host_tests.demo_rig import MADE, RATE, SAMPLING, SOC, at_us, cut, evidence


def test_all_there():
    found = counts(evidence())
    assert found["complete"] and found["missing"] == 0
    assert {found[k] for k in ("made", "published", "acknowledged", "archived", "at_client")} == {MADE}


def lose_at_client(seen):
    del seen.client[50]


def lose_in_archive(seen):
    del seen.archived[50]


def lose_the_last_everywhere(seen):
    del seen.client[-1], seen.archived[-1], seen.published[-1]


def change_at_client(seen):
    raw, came = seen.client[7]
    seen.client[7] = (raw[:-1] + bytes([raw[-1] ^ 1]), came)


def change_in_archive(seen):
    raw, came = seen.archived[8]
    seen.archived[8] = (raw[:-1] + bytes([raw[-1] ^ 1]), came)


def lose_all(seen):
    seen.client.clear(), seen.archived.clear(), seen.published.clear()


FAULTS = {lose_at_client: 1, lose_in_archive: 1, lose_the_last_everywhere: 1, change_at_client: 1,
          change_in_archive: 1, lose_all: MADE}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_missing_is_counted(fault):
    seen = evidence()
    fault(seen)
    found = counts(seen)
    assert found["missing"] == FAULTS[fault] and not found["complete"]


@pytest.mark.parametrize("status", [
    None, {"state": "offline"}, {"state": "online", "frames": MADE}, {"state": "stopped", "frames": 0},
    {"state": "stopped", "frames": MADE, "lost_blocks": 1}, {"state": "stopped", "frames": MADE, "skipped": 1},
])
def test_without_the_nodes_own_word_it_is_not_complete(status):
    seen = evidence()
    seen.status, seen.statuses = status, {1: status}
    assert not counts(seen)["complete"]


def test_duplicates_are_counted_and_hide_nothing():
    seen = evidence()
    seen.client.append(seen.client[3])
    seen.published += seen.published[:2]
    found = counts(seen)
    assert (found["duplicated_at_client"], found["duplicated_on_the_wire"], found["missing"]) == (1, 2, 0)
    del seen.client[50]
    assert counts(seen)["missing"] == 1


def test_the_archives_durable_records_have_no_gap():
    seen = evidence()
    seen.durable = [(1, 0), (1, 2), (1, 1), (1, 2)]
    assert counts(seen)["complete"] and counts(seen)["durable"] == 3
    seen.durable = [(1, 5 << 20), (1, 5 << 20 | 3)]
    assert counts(seen)["durable_missing"] == 2 and not counts(seen)["complete"]


def test_the_cuts_cost_what_was_promised():
    found = counts(cut())
    assert found["made_by_life"] == [197, 198] and found["made"] == 395
    assert (found["lost_by_kill"], found["loss_most"], found["missing"]) == (49, 60, 0)
    assert (found["archived"], found["at_client"], found["late"]) == (346, 236, 110)
    assert found["complete"]


def lose_a_late_one(seen):
    del seen.archived[100]


def lose_a_live_one_at_the_client(seen):
    del seen.client[-20]


def lose_one_after_the_kill(seen):
    del seen.archived[-1], seen.published[-1], seen.client[-1]


def change_a_late_one(seen):
    raw, came = seen.archived[100]
    seen.archived[100] = (raw[:-1] + bytes([raw[-1] ^ 1]), came)


@pytest.mark.parametrize(
    "fault", [lose_a_late_one, lose_a_live_one_at_the_client, lose_one_after_the_kill, change_a_late_one])
def test_the_cuts_excuse_nothing_else(fault):
    seen = cut()
    fault(seen)
    found = counts(seen)
    assert (found["missing"], found["lost_by_kill"]) == (1, 49) and not found["complete"]


def lose_more_than_promised(seen):
    seen.statuses[1]["loss_most"] = 48


def lose_the_word_of_the_second_start(seen):
    seen.starts = seen.starts[1:]


def never_say_good_bye(seen):
    seen.status = {"state": "offline"}


@pytest.mark.parametrize(
    "fault", [lose_more_than_promised, lose_the_word_of_the_second_start, never_say_good_bye])
def test_the_cuts_need_proof(fault):
    seen = cut()
    fault(seen)
    assert not counts(seen)["complete"]


def test_what_the_broker_had_kept_need_not_reach_the_client():
    """Published live, but when it came to the adapter it was late."""
    seen = cut()
    raw, _ = seen.archived[90]
    seen.archived[90] = (raw, seen.up_us + 100_000)
    del seen.client[90]
    assert counts(seen)["complete"]


def test_times_of_the_recovery():
    found = demo_times.recovery(cut())
    assert found == {"outage_ms": 6000, "live_again_ms": 300, "backlog_gone_ms": 1259, "backlog": 110,
                     "dead_ms": 2000}
    assert demo_times.recovery(evidence())["live_again_ms"] is None


def test_each_life_begins_at_its_own_second():
    first, second = lives(cut())
    assert (first.soc, second.soc) == (SOC, SOC + 6)
    compared, shown_s = demo_times.compared_frames(cut(), lambda raw: None)
    assert compared[148][0] == pytest.approx(0.04) and shown_s[148] == pytest.approx(6.04)


def test_latency_begins_when_the_block_is_full():
    """Blocks of 20 ms at 1,600/s: the window of frame n ends at n + 30 ms (sample 32 n + 47), in the middle of a
    block, so that it is full at n + 40 ms; 5 ms remain.
    """
    assert SAMPLING.ready_s(0.04) == pytest.approx(0.08)
    found = demo_times.latency(evidence())
    assert found["estimator_delay_ms"] == 30 and found["block_wait_mean_ms"] == 10
    assert found["transport_to_client_p50_ms"] == found["transport_to_archive_p99_ms"] == 5
    assert found["total_to_client_p50_ms"] == 45
    assert found["draining_to_client_p50_ms"] is None


def test_latency_leaves_the_outage_out():
    """Ordinary are frames 2 to 97 (5 ms) and those stamped after the last of the backlog (9259): 463 to 499 (305
    ms). Behind its first (8998) are frames 450 to 462.
    """
    found = demo_times.latency(cut())
    assert found["transport_to_client_p50_ms"] == 5 and found["transport_to_client_p99_ms"] == 305
    assert found["draining_to_client_p50_ms"] == 305


def test_the_last_frame_before_a_kill():
    assert last_possible(SAMPLING, RATE, SOC, at_us(4001)) == SOC * RATE + 198
    assert last_possible(SAMPLING, RATE, SOC, at_us(3999)) == SOC * RATE + 197


def test_plan():
    assert Plan(32, 10, True).events() == [(7.04, "cut broker"), (12.04, "cut node"), (17.04, "broker back")]
    assert [event for _, event in Plan(10, 0, True).events()] == ["cut node"]
    assert [event for _, event in Plan(10, 3, False).events()] == ["cut broker", "broker back"]
    assert Plan(2, 0, False).events() == []
    with pytest.raises(ValueError, match="at least 14"):
        Plan(13, 10, True)
