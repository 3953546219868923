"""Rules on derived points are tried on the past as any others: what was derived then was recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from past_scene import SITE, run_of, written
from test_replay import LONG_AGO, an_hour, told, verdicts

DERIVED = SITE + "  fridge-air: {driver: climate, of: fridge, zone: shop/fridge}\n"
RULES = """
rules:
  damp: {point: fridge-air.dew_point, above: -5, clear_below: -6, for: 0s, clear_for: 0s}
"""


def test_an_alarm_on_a_derived_point_comes_and_goes_as_it_did_and_another_limit_is_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = written(tmp_path, RULES, site=DERIVED)
    with run_of(tmp_path / "state", site, "a" * 16) as past:
        an_hour(past)
    asked = ("--state", tmp_path / "state", "--since", LONG_AGO, "--config")
    same = told(capsys, *asked, site)
    assert verdicts(same)["damp"] == ["same"] * 3
    assert not same["without_values"]
    other = written(tmp_path, RULES.replace("for: 0s, clear", "for: 2m, clear"), "new.yaml", DERIVED)
    page = tmp_path / "page.html"
    assert verdicts(told(capsys, *asked, other, "--html", page))["damp"] == ["moved"] * 3
    assert "fridge-air.dew_point" in page.read_text()


def test_of_a_device_that_was_not_derived_then_there_is_nothing_to_try_a_rule_on_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with run_of(tmp_path / "state", written(tmp_path, "", "old.yaml"), "a" * 16) as past:
        an_hour(past)
    site = written(tmp_path, RULES, site=DERIVED)
    found = told(capsys, "--state", tmp_path / "state", "--config", site, "--since", LONG_AGO)
    assert found["without_values"] == {"fridge-air": ["dew_point"]}
