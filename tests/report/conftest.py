import handmade
import pytest


@pytest.fixture(scope="module")
def image():
    return handmade.photograph()


@pytest.fixture(scope="module")
def analysis(image):
    return handmade.whole(handmade.autonomous(image), 1.5)
