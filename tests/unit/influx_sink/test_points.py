from collections.abc import Callable
from typing import Any

from gridpulse_influx_sink.points import anomaly_lines, rollup_lines

Make = Callable[..., dict[str, Any]]


def series_and_time(text: str) -> tuple[str, str]:
    return text.split(" ", maxsplit=1)[0], text.rsplit(" ", 1)[1]


def test_an_anomaly_is_one_point(event: Make) -> None:
    (text,) = anomaly_lines(event())
    assert text == (
        "anomalies,asset=meter-1,feeder=feeder-1,kind=SAG,rule=voltage.sag "
        'anomaly_id="00000000000000000000000000000000",asset_type="METER",severity="WARNING",state="OPENED",revision=1i,'
        'observed=190.5,expected=230.0,lower=207.0,upper=253.0,unit="V",score=0.75,peak=188.0,count=3i,'
        'detected_at=1700000001000i,reason="Voltage dipped." 1700000000000'
    )


def test_every_change_overwrites_the_same_point(event: Make) -> None:
    changed = event(revision=4, state="CLOSED", severity="CRITICAL", ended_at=1_700_000_003_500, peak=None, observed=float("nan"))
    (first,), (last,) = anomaly_lines(event()), anomaly_lines(changed)
    assert series_and_time(first) == series_and_time(last)
    assert 'ended_at=1700000003500i,reason="Voltage dipped.",duration_s=3.5' in last
    assert "observed" not in last
    assert "peak" not in last


def test_a_rollup_is_a_point_a_signal(rollup: Make) -> None:
    assert rollup_lines(rollup()) == [
        "rollups,feeder=feeder-1,signal=voltage,window=1m count=60i,mean=230.0,stddev=1.5,min=226.0,max=234.0 1700000040000",
        "rollups,feeder=feeder-1,signal=current,window=1m count=60i,mean=230.0,stddev=1.5,min=226.0,max=234.0 1700000040000",
    ]
    assert rollup_lines(rollup(signals=[])) == []
