"""Networks that several modules of tests run."""

import pytest

from tests.support import stock


@pytest.fixture(scope="session")
def quarter(tmp_path_factory):
    """Config of the demo network for frames with a quarter of the pixels."""
    return stock.at_side(stock.SMALL, 192, tmp_path_factory.mktemp("config"))
