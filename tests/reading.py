"""How the tests of reading files look at what `load` refuses."""

from __future__ import annotations

from typing import Any

import pytest
from labelwright.app.data import load
from labelwright.store.errors import UserError


def refusal(data: str, **options: Any) -> str:
    """The message with which `load` refuses: always one line that names the place."""
    with pytest.raises(UserError) as caught:
        load(data, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert data.split(":")[0] in message or repr(data) in message
    return message
