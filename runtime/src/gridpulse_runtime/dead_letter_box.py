"""Dead letters of one checkpoint, sent when the checkpoint is: a rewind must not send them again and again."""

from confluent_kafka import KafkaError, Message, Producer

from gridpulse_runtime.dead_letters import DeadLetter, headers_of

__all__ = ["DeadLetterBox"]

FLUSH_SECONDS = 30.0


class DeadLetterBox:
    """Collects dead letters for `topic` until `send`."""

    def __init__(self, producer: Producer, topic: str, app: str) -> None:
        self._producer = producer
        self._topic = topic
        self._app = app
        self._letters: list[DeadLetter] = []

    def put(self, letter: DeadLetter) -> None:
        """Keep `letter` until the next `send` or `clear`."""
        self._letters.append(letter)

    def clear(self) -> None:
        """Forget what waits: its records will be read again."""
        self._letters = []

    def take(self) -> list[DeadLetter]:
        """Hand over what waits, to be given to `send`."""
        letters, self._letters = self._letters, []
        return letters

    def send(self, letters: list[DeadLetter]) -> None:
        """Produce `letters` and wait until Kafka has them. Raises RuntimeError where it does not take them."""
        failures: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failures.append(error)

        for letter in letters:
            self._produce(letter, delivered)
        left = self._producer.flush(FLUSH_SECONDS) if letters else 0
        if failures or left:
            raise RuntimeError(f"{self._topic} did not take {left + len(failures)} dead letters {failures[:1]}")

    def _produce(self, letter: DeadLetter, delivered: object) -> None:
        while True:
            try:
                self._producer.produce(
                    self._topic, letter.value, letter.key, headers=headers_of(letter, self._app), on_delivery=delivered
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return
