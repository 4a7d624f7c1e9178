"""rules.toml: what a mistake in it is answered with."""

import tomllib
from pathlib import Path

import pytest

from gridpulse_detector import channels
from gridpulse_detector.parameters import ParameterSets
from gridpulse_detector.rules import FIXED
from gridpulse_detector.ruleset import RuleError, Rules, load_rules


def test_the_packaged_rules_are_the_defaults() -> None:
    assert load_rules(None) == Rules()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[moving_average]\nsigmas = 15", ["moving_average.sigmas = 15", "allowed: 1.5 to 10"]),
        ("[moving_average]\nsigmas = 1", ["moving_average.sigmas = 1", "greater than or equal to 1.5"]),
        ("[moving_average]\nmin_readings = 1", ["moving_average.min_readings = 1", "2"]),
        ('[moving_average]\nfor_s = "long"', ['moving_average.for_s = "long"', "number"]),
        ("[moving_average]\nsigma = 3", ["moving_average.sigma = 3", "not permitted"]),
        ("[moving_averages]", ["moving_averages", "not permitted"]),
        ("[moving_average.deadband_percent]\nvolts = 3", ["moving_average.deadband_percent", "volts is no signal", "current"]),
        ("[moving_average.deadband_percent]\ncurrent = -1", ["deadband_percent", "current = -1.0 is outside 0 to 1000 percent"]),
        ("[sag]\nbelow_pu = 1.2", ["sag.below_pu = 1.2", "allowed: 0.5 to 0.99"]),
        ("[sag]\nbelow = 0.8", ["sag.below = 0.8", "below_pu", "clear_for_s"]),
        ("[class.industrial.sag]\nbelow_pu = 1.2", ['class."industrial".sag.below_pu = 1.2', "allowed: 0.5 to 0.99"]),
        ('[feeder."f-1".dip]', ['feeder."f-1".dip', "no such rule", "undervoltage"]),
        ('[asset."m-1".moving_average.deadband_percent]\nthd = 1', ['asset."m-1".moving_average', "same for all assets"]),
        ("[windows]\nhop_s = 0", ["windows.hop_s = 0", "greater than or equal to 1"]),
        ("[windows]\nwindow_s = 300\nhop_s = 7", ["windows", "multiple of hop_s", "300", "7"]),
        ("[windows]\nwindow_s = 20000\nhop_s = 1", ["windows", "at most 10,000 panes"]),
        ('[rollups]\nsignals = ["volts"]', ["rollups.signals", "volts: no such signal", "voltage"]),
        ("[windows", ["table declaration"]),
    ],
)
def test_an_error_names_file_key_value_and_range(tmp_path: Path, text: str, parts: list[str]) -> None:
    path = tmp_path / "my-rules.toml"
    path.write_text(text)
    with pytest.raises(RuleError) as caught:
        load_rules(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"gone\.toml.*No such file"):
        load_rules(tmp_path / "gone.toml")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RuleError, match=r"rules\.toml"):
        load_rules(path)


def test_what_the_kernel_takes() -> None:
    rules = Rules()
    sets = ParameterSets(rules)
    assert sets.number("residential", "f", "m") == 0
    names = [name for name, _ in rules.channels]
    holds = dict(zip(names, sets.holds[0].tolist(), strict=True))
    assert holds["undervoltage"] == (60_000, 5000, 60_000, 3_600_000, 1)
    assert holds["sag"] == (0, 5000, 60_000, 0, 1)
    assert holds["moving_average.voltage"] == (3000, 10_000, 60_000, 0, 1)
    assert (sets.limits[0]["interruption_below_pu"], sets.limits[0]["sag_below_pu"], sets.limits[0]["swell_above_pu"]) == (
        0.1,
        0.9,
        1.1,
    )


def test_channels_are_numbered_as_the_rules_are_listed() -> None:
    for number, rule in enumerate(FIXED):
        assert getattr(channels, rule.name.replace(".", "_").upper()) == number
    assert len(FIXED) == channels.FIRST_SIGNAL
    assert len(Rules().channels) < 63  # a bit each in a signed word


def test_the_particular_goes_before_the_general() -> None:
    text = """
    sag = {below_pu = 0.88}
    class.commercial.sag = {below_pu = 0.87, clear_for_s = 7}
    feeder.f1.sag.below_pu = 0.86
    asset.m1.sag.below_pu = 0.85
    asset.m1.moving_average.deadband_percent.voltage = 3
    """
    sets = ParameterSets(Rules.model_validate(tomllib.loads(text)))
    places = (("home", "f2", "m2"), ("commercial", "f2", "m2"), ("commercial", "f1", "m2"), ("commercial", "f1", "m1"))
    numbers = [sets.number(*place) for place in places]
    assert sets.limits["sag_below_pu"][numbers].tolist() == [0.88, 0.87, 0.86, 0.85]
    sag = [name for name, _ in Rules().channels].index("sag")
    assert sets.holds["clear"][numbers, sag].tolist() == [5000, 7000, 7000, 7000]
    assert [sets.sets[number].deadbands["voltage"] for number in numbers] == [12, 12, 12, 3]
    assert len({sets.sets[number].versions[sag] for number in numbers}) == 4
    assert sets.number("home", "f3", "m3") == numbers[0]


def test_a_rule_has_a_new_version_only_when_its_own_parameters_change() -> None:
    old, new = Rules(), Rules.model_validate({"sag": {"below_pu": 0.85}})
    one, other = ParameterSets(old), ParameterSets(new)
    versions = [sets.sets[sets.number("", "", "")].versions for sets in (one, other)]
    changed = [name for (name, _), a, b in zip(old.channels, *versions, strict=True) if a != b]
    assert changed == ["sag"]


def test_every_rule_has_a_sentence_and_explains_its_keys() -> None:
    for rule in FIXED:
        assert rule.sentence.endswith(".")
        assert rule.parameters.__doc__
