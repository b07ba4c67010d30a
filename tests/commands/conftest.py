"""Commands that run in the process of their tests."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def each_image_is_encoded_once(encoded_once):
    """However many tests there are for a clip."""
