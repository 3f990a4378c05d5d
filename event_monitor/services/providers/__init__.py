"""What answers when a service cannot: local files, local repositories, remembered answers, documentation."""

from __future__ import annotations

from event_monitor.services.providers.chains import CHAINS, PROVIDERS, make_steps
from event_monitor.services.providers.provider import Provider

__all__ = ["CHAINS", "PROVIDERS", "Provider", "make_steps"]
