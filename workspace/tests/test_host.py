"""The host, when the clock of its machine is put back."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from unittest import mock

import pytest

from databox_shared.settings import load_settings
from databox_workspace import host as hosting
from databox_workspace.site import Site


@pytest.mark.parametrize(
    ("jumps", "starts"),
    [([0.0, 3600.0, 3600.0], 1), ([0.0, -20.0, -40.0], 1), ([3600.0, 3600.0, 0.0], 2)],
    ids=["put forward", "put right little by little", "put back"],
)
def test_the_daemon_is_started_again_if_and_only_if_the_clock_was_put_back(
    where: Site, monkeypatch: pytest.MonkeyPatch, jumps: list[float], starts: int
) -> None:
    began: list[str] = []
    said: list[object] = []
    error = iter(jumps)

    @contextmanager
    def started(*_: object, **__: object) -> Generator[Callable[[], None]]:
        began.append("a start")
        yield lambda: None

    clock = mock.Mock(**{"monotonic.return_value": 100.0})
    clock.time.side_effect = lambda: 5000.0 + next(error)
    monkeypatch.setattr(hosting, "time", clock)
    monkeypatch.setattr(hosting, "host", started)
    with pytest.raises(StopIteration):
        hosting.run_host(where, load_settings(), address="127.0.0.1", port=1, say=said.append)
    assert len(began) == starts
    assert len(said) == starts - 1
