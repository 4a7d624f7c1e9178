"""Entry point of the images that stand in for the servers': the real servers, read with the variables their images read.

Kafka's variables become properties by the very class its image calls. Of InfluxDB's and Silo's start only what compose.yaml uses
is done here.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

JAVA = "/opt/java/bin/java"
INFLUX = "http://127.0.0.1:8086"


def run(*words: str, **variables: str) -> None:
    """Become another program."""
    os.execve(words[0], words, {**os.environ, **variables})  # noqa: S606


def kafka() -> None:
    """`/etc/kafka/docker/run` of apache/kafka: setup, then the broker."""
    defaults, final = Path("/tmp/defaults"), Path("/tmp/config")
    for folder in (defaults, final):
        folder.mkdir(exist_ok=True)
    for name in ("server.properties", "log4j2.yaml", "tools-log4j2.yaml"):
        (defaults / name).touch()
    libraries = ("-cp", "/opt/kafka/libs/*")
    setup = ("--default-configs-dir", str(defaults), "--mounted-configs-dir", "/mnt/none", "--final-configs-dir", str(final))
    subprocess.run([JAVA, *libraries, "kafka.docker.KafkaDockerWrapper", "setup", *setup], check=True)
    options = (os.environ["KAFKA_HEAP_OPTS"] + " " + os.environ["KAFKA_JVM_PERFORMANCE_OPTS"]).split()
    run(JAVA, *options, *libraries, "kafka.Kafka", str(final / "server.properties"))


def apicurio() -> None:
    """Run the registry's jar, as its image does."""
    jar = next(Path("/opt/apicurio").rglob("*-runner.jar"))
    run(JAVA, *os.environ["JAVA_OPTS_APPEND"].split(), "-jar", str(jar))


def influxdb() -> None:
    """influxd, set up at its first start by DOCKER_INFLUXDB_INIT_*."""
    data = "/var/lib/influxdb2"
    server = subprocess.Popen(
        [
            "/opt/influxdb/influxd",
            f"--bolt-path={data}/influxd.bolt",
            f"--engine-path={data}/engine",
            f"--sqlite-path={data}/influxd.sqlite",
        ]
    )
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    while not ping(f"{INFLUX}/health"):
        time.sleep(0.2)
    own = {name.removeprefix("DOCKER_INFLUXDB_INIT_"): value for name, value in os.environ.items()}
    if json.load(urllib.request.urlopen(f"{INFLUX}/api/v2/setup"))["allowed"]:
        body = {
            "username": own["USERNAME"],
            "password": Path(own["PASSWORD_FILE"]).read_text(),
            "token": Path(own["ADMIN_TOKEN_FILE"]).read_text(),
            "org": own["ORG"],
            "bucket": own["BUCKET"],
        }
        request = urllib.request.Request(
            f"{INFLUX}/api/v2/setup", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        urllib.request.urlopen(request)
    sys.exit(server.wait())


def ping(url: str) -> bool:
    """Whether `url` answers with success."""
    try:
        with urllib.request.urlopen(url, timeout=3):
            return True
    except (urllib.error.URLError, OSError):
        return False


def silo(words: list[str]) -> None:
    """`silo healthcheck ready`, or the server."""
    if words[:1] == ["healthcheck"]:
        sys.exit(0 if ping("http://127.0.0.1:9000/minio/health/ready") else 1)
    run("/opt/minio/minio", *words)


if __name__ == "__main__":
    program, *rest = sys.argv[1:]
    if program == "influx":
        sys.exit(0 if ping(f"{INFLUX}/health") else 1)
    elif program == "silo":
        silo(rest)
    else:
        {"kafka": kafka, "apicurio": apicurio, "influxdb": influxdb}[program]()
