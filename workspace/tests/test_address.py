"""Where the UI is found, and the word to who lets others in."""

import pytest

from databox_workspace.address import open_warning, own_url


@pytest.mark.parametrize(
    ("address", "url", "is_open"),
    [
        ("127.0.0.1", "http://127.0.0.1:3000", False),
        ("localhost", "http://localhost:3000", False),
        ("::1", "http://[::1]:3000", False),
        ("::", "http://[::1]:3000", True),
        ("0.0.0.0", "http://127.0.0.1:3000", True),
        ("192.0.2.7", "http://192.0.2.7:3000", True),
        ("databox.example.org", "http://databox.example.org:3000", True),
    ],
)
def test_the_ui_is_found_at_its_address_and_one_that_others_reach_is_warned_of(
    address: str, url: str, is_open: bool
) -> None:
    assert own_url(address, 3000) == url
    warning = open_warning(address, 3000)
    assert (warning is not None) == is_open
    assert warning is None or warning.count(".") == 3, "one sentence, with an address"
