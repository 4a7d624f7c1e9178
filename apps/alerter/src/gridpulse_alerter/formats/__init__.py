"""The three ways to speak to a receiver."""

from gridpulse_alerter.formats.alertmanager import AlertmanagerFormat
from gridpulse_alerter.formats.slack import SlackFormat
from gridpulse_alerter.formats.webhook import WebhookFormat
from gridpulse_alerter.notification import Format
from gridpulse_alerter.receivers import Receiver

__all__ = ["format_of"]


def format_of(receiver: Receiver) -> Format:
    """The format that `receiver` understands."""
    if receiver.type == "alertmanager":
        return AlertmanagerFormat(receiver.open_for)
    return SlackFormat() if receiver.type == "slack" else WebhookFormat()
