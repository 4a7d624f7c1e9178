"""Health check of a container: exit code 0 where the app inside is ready (or /livez answers, with that path as argument)."""

import http.client
import os
import sys

port = int(os.environ.get("GRIDPULSE_METRICS_PORT") or 0)
if not port:
    sys.exit(0)  # a program that serves no health, as the generator
path = sys.argv[1] if len(sys.argv) > 1 else "/readyz"
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
try:
    connection.request("GET", path)
    answer = connection.getresponse()
    sys.stdout.write(answer.read().decode("utf-8", "replace") + "\n")
    sys.exit(0 if answer.status == http.client.OK else 1)
except OSError as error:
    sys.exit(f"{path}: {error}")
