"""What can be wrong with the description of receivers."""

__all__ = ["BadAlertsError"]


class BadAlertsError(Exception):
    """A receiver, route or window is described wrongly; says where, and never shows a secret or a URL, which may hold one."""
