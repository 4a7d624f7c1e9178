"""Access control lists of the manifest, made on a broker or told as commands."""

import shlex
from collections.abc import Iterable

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas.access import ACCESS, Grant

__all__ = ["allow", "commands"]

TIMEOUT = 30.0
OPTIONS = {"topic": "--topic", "group": "--group", "transactional_id": "--transactional-id"}


def allow(settings: KafkaSettings, principal: str, programs: Iterable[str]) -> int:
    """Allow each of `programs` what the manifest grants it; how many rules that took. What was allowed before stays.

    `principal`: `User:gridpulse-{program}`, say. Raises KafkaException where the broker refuses.
    """
    bindings = [binding(grant, principal.format(program=program)) for program in programs for grant in ACCESS[program]]
    admin = AdminClient({**settings.kafka_client(), "log_level": 0})
    for made in admin.create_acls(bindings, request_timeout=TIMEOUT).values():
        made.result()
    return len(bindings)


def binding(grant: Grant, principal: str) -> AclBinding:
    """The rule as the client library takes it: from any host."""
    return AclBinding(
        ResourceType[grant.resource.upper()],
        grant.name,
        ResourcePatternType.PREFIXED if grant.prefixed else ResourcePatternType.LITERAL,
        principal,
        "*",
        AclOperation[grant.operation],
        AclPermissionType.ALLOW,
    )


def commands(bootstrap: str, principal: str, programs: Iterable[str]) -> list[str]:
    """The same as command lines of Kafka's own kafka-acls.sh, for whoever may not or will not use `allow`."""
    lines = []
    for program in programs:
        for grant in ACCESS[program]:
            words = ["kafka-acls.sh", "--bootstrap-server", bootstrap, "--add"]
            words += [
                "--allow-principal",
                principal.format(program=program),
                "--operation",
                grant.operation.title().replace("_", ""),
            ]
            words += [OPTIONS[grant.resource], grant.name] + (["--resource-pattern-type", "prefixed"] if grant.prefixed else [])
            lines.append(shlex.join(words))
    return lines
