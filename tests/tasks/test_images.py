"""The image task: the model is what the settings say, and metrics are those of torch."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models import resnet50

from idlib.models.resnet import NarrowResNet, add_dropout
from idlib.tasks.images import ImageSettings, ImageTask

SMOKE = ImageSettings(**ImageTask.profiles["smoke"])


@pytest.fixture(scope="module")
def task() -> ImageTask:
    return ImageTask(SMOKE, "embedded")


def test_dropout_follows_every_relu():
    model = resnet50(weights=None)
    relus = sum(isinstance(m, nn.ReLU) for m in model.modules())
    add_dropout(model, 0.1)
    pairs = [m for m in model.modules() if isinstance(m, nn.Sequential) and len(m) == 2]
    pairs = [m for m in pairs if isinstance(m[0], nn.ReLU) and isinstance(m[1], nn.Dropout)]
    assert len(pairs) == relus == 17
    assert all(pair[1].p == 0.1 for pair in pairs)
    assert sum(isinstance(m, nn.ReLU) for m in model.modules()) == relus


def test_each_use_of_a_shared_relu_draws_its_own_mask(task):
    torch.manual_seed(0)
    model, seen = task.model(), []
    shared = model.layer1[0].relu
    shared[1].register_forward_hook(lambda module, args, out: seen.append(out == 0))
    model(torch.randn(4, 1, 28, 28))
    assert len(seen) == 2 and not torch.equal(*seen)


def test_the_paper_profile_is_a_resnet50_with_a_head_without_bias(task):
    large = ImageTask(ImageSettings(pretrained=False, image_size=64), "embedded").model()
    classes = len(task.data.classes)
    body = sum(p.numel() for p in resnet50(weights=None).parameters()) - 2048 * 1000 - 1000
    assert sum(p.numel() for p in large.parameters()) == body + 2048 * classes
    assert large.fc.bias is None


def test_the_narrow_network_has_a_quarter_of_the_channels():
    model = NarrowResNet(width=16, channels=1, classes=10)
    assert [getattr(model, f"layer{i}")[0].conv2.out_channels for i in (1, 2, 3, 4)] == [
        *(16, 32, 64, 128)
    ]
    assert model(torch.randn(2, 1, 28, 28)).shape == (2, 10)
    assert model.fc.bias is None and model.conv1.stride == (2, 2)


def test_the_model_has_the_settings_width_and_rate_of_dropout():
    changed = SMOKE.model_copy(update={"width": 64, "dropout": 0.37})
    torch.manual_seed(0)
    model = ImageTask(changed, "embedded").model()
    rates = {m.p for m in model.modules() if isinstance(m, nn.Dropout)}
    assert rates == {0.37} and model.fc.in_features == 8 * 64
    # Kaiming's normal distribution for what leaves a filter, as torchvision draws its own.
    for conv in (model.conv1, model.layer1[0].conv1):
        expected = (2 / (conv.out_channels * 9)) ** 0.5
        assert conv.weight.std().item() == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(("asked", "embedded"), [(80, 60), (30, 30)])
def test_embedded_images_cap_the_epochs_and_come_without_weights(asked, embedded):
    settings = ImageSettings(epochs=asked)
    found = ImageTask.adapt(settings, "embedded")
    assert (found.epochs, found.pretrained) == (embedded, False)
    assert ImageTask.adapt(settings, "hub") == ImageTask.adapt(settings, "path") == settings


def test_resnet50_refuses_one_channel():
    with pytest.raises(ValueError, match="3 channels"):
        ImageTask(ImageSettings(pretrained=False, image_size=28), "embedded").model()


def test_an_epoch_visits_every_training_example_once(task):
    order = task.epoch(torch.Generator().manual_seed(0))
    assert sorted(i for update in order for i in update) == list(range(240))
    assert {len(update) for update in order} == {60}
    assert order != task.epoch(torch.Generator().manual_seed(1))


def test_batches_leave_the_generator_of_dropout_alone(task):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    batches = list(task.batches([[0, 1], [2]]))
    assert [len(b["label"]) for b in batches] == [2, 1]
    assert torch.equal(before, torch.get_rng_state())


def test_metrics_are_those_of_torch(task):
    torch.manual_seed(0)
    model = task.model().eval()
    metrics, items = task.test(model)
    for split in ("validation", "test"):
        data = task.data.splits[split]
        batch = data.batch(range(len(data)))
        with torch.no_grad():
            logits = model(batch["image"]).double()
        expected = functional.cross_entropy(logits, batch["label"]).item()
        assert metrics[f"{split}/nll"] == pytest.approx(expected, rel=1e-6)
        hits = (logits.argmax(-1) == batch["label"]).double().mean().item()
        assert metrics[f"{split}/accuracy"] == metrics[f"{split}/accuracy/calibrated"] == hits
        assert task.evaluate(model, split)["nll"] == metrics[f"{split}/nll"]
    mean = sum(items["test/nll/items"]) / len(items["test/nll/items"])
    assert mean == pytest.approx(metrics["test/nll"], abs=1e-4)


def nearest(task, scale):
    """A model whose logits are minus the distances to the mean image of each class, scaled."""
    train = task.data.splits["train"].batch(range(240))
    pixels, classes = train["image"].flatten(1), len(task.data.classes)
    means = torch.stack([pixels[train["label"] == c].mean(0) for c in range(classes)])
    head = nn.Linear(pixels.shape[1], classes)
    with torch.no_grad():
        head.weight.copy_(2 * scale * means)
        head.bias.copy_(-scale * means.square().sum(1))
    return nn.Sequential(nn.Flatten(), head)


def independent_fit(logits, labels):
    """The temperature of least NLL, by Newton's method on its inverse."""
    inverse = torch.ones((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([inverse], line_search_fn="strong_wolfe", max_iter=100)

    def closure():
        optimizer.zero_grad()
        loss = functional.cross_entropy(inverse * logits, labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    return 1 / inverse.item()


@pytest.mark.parametrize("scale", [0.002, 0.05])
def test_the_temperature_is_fitted_on_validation_and_divides_the_logits_of_both(task, scale):
    model = nearest(task, scale)
    metrics, _ = task.test(model)
    fitted, logits = {}, {}
    for split in ("validation", "test"):
        batch = task.data.splits[split].batch(range(120))
        with torch.no_grad():
            logits[split] = model(batch["image"]).double(), batch["label"]
        fitted[split] = independent_fit(*logits[split])
    temperature = metrics["calibration/temperature"]
    assert temperature == pytest.approx(fitted["validation"], rel=1e-4)
    assert abs(temperature / fitted["test"] - 1) > 0.01  # so it is not that of the test set
    assert (temperature < 1) == (scale < 0.01)  # logits that are not sure enough, or too sure
    for split, (z, labels) in logits.items():
        expected = functional.cross_entropy(z / temperature, labels).item()
        assert metrics[f"{split}/nll/calibrated"] == pytest.approx(expected, rel=1e-6)
    assert metrics["validation/nll/calibrated"] < metrics["validation/nll"] - 1e-3


def test_sensitivity_is_measured_on_all_training_images_in_fixed_order(task):
    batches = list(task.sensitivity_batches())
    assert [len(b["label"]) for b in batches] == [60] * 4
    train = task.data.splits["train"]
    assert torch.equal(torch.cat([b["label"] for b in batches]), train.labels)


def test_the_loss_of_sensitivity_is_plain_cross_entropy(task):
    torch.manual_seed(0)
    model, batch = task.model().eval(), next(iter(task.sensitivity_batches()))
    expected = functional.cross_entropy(model(batch["image"]), batch["label"])
    torch.testing.assert_close(task.loss(model, batch), expected)


def test_the_large_profile_takes_the_embedded_images():
    settings = ImageSettings(pretrained=False, image_size=32, examples=SMOKE.examples)
    task = ImageTask(settings, "embedded")
    assert next(task.batches([[0, 1]]))["image"].shape == (2, 3, 32, 32)
