"""What the demo shows of an app that ended and was started again."""

from pathlib import Path

from gridpulse_demo.metrics import Metrics
from gridpulse_demo.pipeline import App
from gridpulse_native.process import Process


def test_a_counter_goes_on_over_the_processes_of_an_app(tmp_path: Path) -> None:
    process = Process(["true"], log=tmp_path / "log", directory=tmp_path, environment={})
    app = App("detector", process, 1)
    assert app.count("anomalies_total") == 0
    for counted in (5.0, 7.0):
        app.history.append((0.0, Metrics({"gridpulse_detector_anomalies_total": counted})))
    assert app.count("anomalies_total") == 7
    again = app.successor(process)
    assert (again.name, again.port, again.count("anomalies_total"), again.total("anomalies_total")) == ("detector", 1, 7, 0.0)
    again.history.append((1.0, Metrics({"gridpulse_detector_anomalies_total": 2.0})))
    assert again.successor(process).count("anomalies_total") == 9
    process.kill()
