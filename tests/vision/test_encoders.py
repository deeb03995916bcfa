from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from karma.vision import load_vision_encoder


def _pictures(n: int = 3) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (30 + 10 * i, 60, 3), dtype=np.uint8)) for i in range(n)]


@pytest.fixture(scope="module")
def tiny_vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import ViTConfig, ViTImageProcessorPil, ViTModel

    folder = tmp_path_factory.mktemp("vit")
    torch.manual_seed(0)
    config = ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=16, patch_size=8)
    ViTModel(config).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


def test_efficientnet_features() -> None:
    encoder = load_vision_encoder("efficientnet-lite0")

    features = encoder.encode(_pictures())

    assert features.dtype == np.float32
    assert features.shape == (3, encoder.dim) == (3, 1280)
    assert np.isfinite(features).all()
    assert (features >= 0).all()  # the last layer is a ReLU6
    assert np.linalg.norm(features[0] - features[1]) > 0.1


def test_the_features_are_what_the_networks_own_classifier_reads() -> None:
    encoder = load_vision_encoder("efficientnet-lite0@224")
    model = encoder._model  # type: ignore[attr-defined]
    picture = _pictures(1)[0]

    with torch.no_grad():
        logits = model(encoder._pixels([picture]))  # type: ignore[attr-defined]
        from_features = model._fc(torch.from_numpy(encoder.encode([picture])))

    torch.testing.assert_close(from_features, logits, rtol=1e-4, atol=1e-4)


def test_efficientnet_does_not_depend_on_the_batch() -> None:
    encoder = load_vision_encoder("efficientnet-lite0")
    pictures = _pictures(40)

    together = encoder.encode(pictures)
    alone = encoder.encode([pictures[35]])

    np.testing.assert_allclose(together[35], alone[0], rtol=1e-4, atol=1e-5)


def test_digest_names_weights_and_input_size() -> None:
    default, same, larger = (
        load_vision_encoder(spec).digest for spec in ("efficientnet-lite0", "efficientnet-lite0@128", "efficientnet-lite0@160")
    )

    assert default == same
    assert default != larger
    assert len(default) == 64


@pytest.mark.parametrize("spec", ["efficientnet-lite0@big", "efficientnet-lite0@8", "efficientnet-lite0@-64"])
def test_refuses_a_size_that_is_none(spec: str) -> None:
    with pytest.raises(ValueError, match="input size"):
        load_vision_encoder(spec)


def test_a_transformers_folder(tiny_vit: Path) -> None:
    encoder = load_vision_encoder(str(tiny_vit))

    features = encoder.encode(_pictures())

    assert features.shape == (3, encoder.dim) == (3, 16)
    assert np.isfinite(features).all()
    np.testing.assert_allclose(load_vision_encoder(str(tiny_vit)).encode(_pictures(1)), features[:1], rtol=1e-5, atol=1e-6)
    assert encoder.encode([]).shape == (0, 16)


def test_a_folders_digest_follows_its_preprocessing(tiny_vit: Path) -> None:
    before = load_vision_encoder(str(tiny_vit)).digest
    settings = tiny_vit / "preprocessor_config.json"
    kept = settings.read_text()
    settings.write_text(kept.replace("0.5", "0.4"))
    after = load_vision_encoder(str(tiny_vit)).digest
    settings.write_text(kept)

    assert kept.count("0.5") > 0
    assert before != after


def test_a_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")

    with pytest.raises(OSError, match="safetensors"):
        load_vision_encoder(str(tmp_path))
