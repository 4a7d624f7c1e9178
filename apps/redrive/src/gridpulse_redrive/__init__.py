"""Lists, shows and sends again what was dead-lettered, once each."""
