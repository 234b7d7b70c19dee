import handmade
import pytest


@pytest.fixture
def image():
    return handmade.photograph()


@pytest.fixture
def analysis(image):
    return handmade.whole(handmade.autonomous(image), 1.5)
