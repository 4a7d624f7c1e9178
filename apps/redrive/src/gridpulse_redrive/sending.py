"""Deliveries and their marks in Kafka transactions: both or neither, whenever this program is killed."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from gridpulse_redrive.destinations import Delivery
from gridpulse_redrive.marks import mark
from gridpulse_runtime.errors import RefusedError, UnavailableError
from gridpulse_runtime.kafka import PRODUCER
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas.topics import REDRIVEN

__all__ = ["OvertakenError", "Sender"]

TRANSACTIONAL_ID = "gridpulse-redrive"
"""One for all: whoever starts last is the only one whose transactions commit."""
TRANSACTION_MS = 10_000
"""A transaction that a kill leaves open holds the readers of its topics up for this long at most."""
TIMEOUT = 30.0
PURGES = 3
OVERTAKEN = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)  # noqa: SLF001  its name
REFUSALS = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE, KafkaError.INVALID_RECORD)
Refused = list[tuple[Delivery, str]]


class OvertakenError(Exception):
    """Another redrive has started since: this one must not go on."""


class PurgedError(Exception):
    """Never sent: librdkafka forgot a record of this transaction."""


class Sender:
    """Sends; making one ends what an earlier run left open and shuts out one that is still running.

    Every method raises UnavailableError where Kafka does not answer, and OvertakenError. What was not reported as sent may then
    have been sent or not: the marks say.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._where = f"Kafka at {settings.kafka_bootstrap} (GRIDPULSE_KAFKA_BOOTSTRAP)"
        self._producer = Producer(
            {
                **settings.kafka_client(),
                **PRODUCER,
                "transactional.id": TRANSACTIONAL_ID,
                "transaction.timeout.ms": TRANSACTION_MS,
                "log_level": 0,
            }
        )
        self._call(lambda: self._producer.init_transactions(TIMEOUT))

    def send(self, deliveries: Sequence[Delivery]) -> Refused:
        """Send `deliveries`, in as few transactions as Kafka lets pass; those it refuses, with the reason."""
        try:
            self._transaction_past_purge(deliveries)
        except RefusedError as error:
            if len(deliveries) == 1:
                return [(deliveries[0], str(error))]
            middle = len(deliveries) // 2
            return self.send(deliveries[:middle]) + self.send(deliveries[middle:])
        return []

    def _transaction_past_purge(self, deliveries: Sequence[Delivery]) -> None:
        """Like `_transaction`. The purge of a transaction just aborted can reach into the next one, which is then made again."""
        for _ in range(PURGES):
            try:
                self._transaction(deliveries)
            except PurgedError:
                continue
            return
        raise UnavailableError(f"{self._where}: no transaction passes after an aborted one")

    def _transaction(self, deliveries: Sequence[Delivery]) -> None:
        """Raises RefusedError with nothing sent where Kafka will never take one of them."""
        self._call(self._producer.begin_transaction)
        try:
            refusal = self._fill(deliveries)
            if refusal is None:
                self._call(lambda: self._producer.commit_transaction(TIMEOUT))
        except BaseException:
            self._abort()
            raise
        if refusal is not None:
            self._abort()
            raise RefusedError(refusal.str())

    def _fill(self, deliveries: Sequence[Delivery]) -> KafkaError | None:
        """Produce all and their marks; the error that says Kafka will never take one of them."""
        failures: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failures.append(error)

        sent_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            for each in deliveries:
                self._produce(each.topic, each.key, each.value, each.headers(), delivered)
                said = mark(each.letter, each.topic, each.app, sent_at, replaced=each.replaced)
                self._produce(REDRIVEN, each.letter.id.encode(), said, [], delivered)
            while len(self._producer) and not failures:  # after a failure the others would be waited for in vain
                self._producer.poll(0.1)
        except KafkaException as error:
            failures.append(error.args[0])
        if failures and failures[0].code() not in REFUSALS:
            raise self._failure(failures[0])
        return failures[0] if failures else None

    def _produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
        delivered: Callable[[KafkaError | None, Message], None],
    ) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers, on_delivery=delivered)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def _abort(self) -> None:
        """As far as Kafka answers; else the next run's start, or the timeout, ends the transaction."""
        try:
            self._producer.abort_transaction(TIMEOUT)
        except KafkaException:
            return

    def _call(self, step: Callable[[], None]) -> None:
        """Make `step`, again as long as Kafka says that repeating it is safe."""
        for _ in range(2):
            try:
                step()
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise self._failure(error.args[0]) from None
                last = error.args[0]
            else:
                return
        raise self._failure(last)

    def _cause(self, error: KafkaError) -> KafkaError:
        """What a fatal error was: producing after it says only that there was one, the calls about transactions say which."""
        if error.code() == KafkaError._FATAL:  # noqa: SLF001  its name
            try:
                self._producer.abort_transaction(TIMEOUT)
            except KafkaException as said:
                return said.args[0]
        return error

    def _failure(self, error: KafkaError) -> Exception:
        error = self._cause(error)
        if error.code() == KafkaError._PURGE_QUEUE:  # noqa: SLF001  its name
            return PurgedError(error.str())
        if error.code() in OVERTAKEN:
            return OvertakenError(f"another gridpulse-redrive has started ({error.str()})")
        return UnavailableError(f"{self._where}: {error.str()}")
