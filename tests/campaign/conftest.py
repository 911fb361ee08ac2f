"""What the tests of campaigns share: a campaign file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

TARGET = 'base_url = "https://{0}.example.test"\ninstance = "fresh"\n'


@pytest.fixture
def campaign_file(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a campaign of two endpoints, with more keys as text."""

    def write(more: str = "", endpoints: str = "") -> Path:
        for name in ("one", "two"):
            (tmp_path / f"{name}.toml").write_text(TARGET.format(name))
        path = tmp_path / "campaign.toml"
        usual = "".join(
            f'[[endpoints]]\nname = "{name}"\ntarget = "{name}.toml"\n' for name in ("one", "two")
        )
        path.write_text(f'name = "night"\n{more}\n{endpoints or usual}')
        return path

    return write
