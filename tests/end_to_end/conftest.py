import numpy as np
import pytest

from helicopter.io import sample_image, write_image


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    write_image(path, sample_image()[100:196, 200:328])
    return path


@pytest.fixture
def mask(tmp_path):
    path = tmp_path / "mask.png"
    hidden = np.zeros((96, 128), np.uint8)
    hidden[30:50, 40:90] = 255
    write_image(path, hidden)
    return path
