"""Settings of the generator: where Kafka and the registry are. What it makes is told by options."""

from gridpulse_runtime.settings import PREFIX, KafkaSettings

__all__ = ["GeneratorSettings", "variables"]


class GeneratorSettings(KafkaSettings):
    """Environment variables of the generator."""


def variables() -> str:
    """One paragraph a variable: name, meaning, default."""
    lines = []
    for name, field in GeneratorSettings.model_fields.items():
        default = "" if field.default in (None, "") else f" [{field.default}]"
        lines.append(f"{PREFIX}{name.upper()}: {field.description or ''}{default}")
    return "\n\n".join(lines)
