"""What has arrived in InfluxDB and in the object store, asked of them directly."""

import contextlib
import warnings
from collections.abc import Mapping
from urllib.parse import urlsplit

from influxdb_client import InfluxDBClient
from minio import Minio

__all__ = ["flux_count", "objects", "points"]


def flux_count(bucket: str) -> str:
    """Flux that counts anomaly points by kind."""
    return (
        f'from(bucket: "{bucket}") |> range(start: 0) |> filter(fn: (r) => r._measurement == "anomalies" and '
        f'r._field == "state") |> group(columns: ["kind"]) |> count()'
    )


def points(environment: Mapping[str, str]) -> dict[str, int] | None:
    """Anomaly points by kind; None while InfluxDB does not answer."""
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with InfluxDBClient(
            environment["GRIDPULSE_INFLUX_URL"],
            environment["GRIDPULSE_INFLUX_TOKEN"],
            org=environment["GRIDPULSE_INFLUX_ORG"],
            timeout=5000,
        ) as client:
            tables = client.query_api().query(flux_count(environment["GRIDPULSE_INFLUX_BUCKET"]))
            return {record["kind"]: record["_value"] for table in tables for record in table.records}
    return None


def objects(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """Number of Parquet objects and their bytes; None while the object store does not answer."""
    with contextlib.suppress(Exception):
        endpoint = urlsplit(environment["GRIDPULSE_S3_ENDPOINT"])
        client = Minio(
            endpoint.netloc,
            access_key=environment["GRIDPULSE_S3_ACCESS_KEY"],
            secret_key=environment["GRIDPULSE_S3_SECRET_KEY"],
            secure=endpoint.scheme == "https",
        )
        sizes = [entry.size or 0 for entry in client.list_objects(environment["GRIDPULSE_S3_BUCKET"], recursive=True)]
        return len(sizes), sum(sizes)
    return None
