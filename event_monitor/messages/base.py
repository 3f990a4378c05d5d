"""What all messages share."""

from __future__ import annotations

from typing import Annotated

import msgspec

Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What the store can hold as an integer."""

Reason = Annotated[str, msgspec.Meta(max_length=1_000)]
"""Why a person does something, in their words: any text of a length that a screen can hold."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", forbid_unknown_fields=True):
    """Base of all messages."""
