"""A test of a zone through the whole daemon: a contact on a pin, the command line, and a power cut in between."""

from __future__ import annotations

from pathlib import Path

from smoke_scene import PinnedDaemon
from test_responses_end_to_end import events, sitewarden, wait_for

from gateway.notice import NOTICE

CONFIG = """
site: {id: dc3}
gateway: {id: gw1}
links:
  gpio: {type: gpio, factory: mock}
devices:
  smoke-1: {driver: contact, link: gpio, pin: 17, kind: smoke, hold: 0s, zone: hall/west}
  siren: {driver: relay, link: gpio, pin: 22, zone: hall}
  fire: {driver: fire_zone, zone: hall}
responses_by_priority: {high: evacuate}
responses:
  evacuate: {set: {siren: on}}
"""


def shown(daemon: PinnedDaemon, *points: str) -> list[object]:
    status = daemon.status() or {"points": []}
    by_name = {f"{it['device']}.{it['point']}": it["value"] for it in status["points"]}
    return [by_name.get(name) for name in points]


def on_record(daemon: PinnedDaemon) -> int:
    return sum(it["event"] == "detector" and it["change"] == "tested" for it in events(daemon))


def wait_until_heard(daemon: PinnedDaemon) -> None:
    wait_for(lambda: shown(daemon, "smoke-1.smoke") != [None], "the detector is heard")


def test_a_test_keeps_the_siren_off_over_a_power_cut_and_its_end_sounds_at_once(tmp_path: Path) -> None:
    with PinnedDaemon(tmp_path, CONFIG) as daemon:
        wait_until_heard(daemon)
        assert sitewarden(daemon, "test-mode", "hall", "--reason", "monthly test")[0] == 0
        daemon.smoke(alarm=True)
        wait_for(lambda: on_record(daemon) >= 1, "the signal is on record")
        assert shown(daemon, "smoke-1.smoke", "fire.fire") == ["test", "test"]
        assert daemon.siren() is None
        daemon.kill()
        daemon.start()
        wait_until_heard(daemon)
        daemon.smoke(alarm=True)
        wait_for(lambda: on_record(daemon) >= 2, "the test goes on after the power cut")
        assert daemon.siren() is None
        code, said = sitewarden(daemon, "test-mode", "hall", "--for", "0s", "--reason", "done")
        assert (code, said) == (0, "test_mode hall: done\n")
        _, is_on = wait_for(daemon.siren, "the siren sounds")
        assert is_on
        told = [(it["alarm"], it["change"]) for it in events(daemon) if it["event"] == "alarm" and "rule" in it]
        assert told == [("fire-alarm", "raised")]
        assert NOTICE in daemon.log.read_text()


def test_a_contact_sounds_the_siren_through_its_fire_zone(tmp_path: Path) -> None:
    with PinnedDaemon(tmp_path, CONFIG) as daemon:
        wait_until_heard(daemon)
        took = []
        for _ in range(2):  # a third within a minute would be held
            daemon.smoke(alarm=True)
            at, is_on = wait_for(daemon.siren, "the siren sounds")
            assert is_on
            took.append(at)
            sitewarden(daemon, "ack", "fire-alarm")
            daemon.smoke(alarm=False)
            wait_for(lambda: shown(daemon, "fire.fire") == ["normal"], "the zone is at rest")
            assert sitewarden(daemon, "reset", "fire-alarm", "--reason", "a try") == (0, "reset fire-alarm: done\n")
        assert min(took) < 0.05, took
