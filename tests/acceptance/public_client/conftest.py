"""The public client in a namespace of one test alone."""

import pytest

from tests.acceptance.public_client.vendor import Vendor
from tests.stack import Stack


@pytest.fixture
def vendor(stack: Stack, namespace: str) -> Vendor:
    """With an admin's key, in the test's namespace."""
    return Vendor.connect(stack.api_url, stack.api_key, namespace)
