"""`deblur train`: from a name to weights with a card, once, and on from where it was stopped."""

import json
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from deblur_core import blur, cli, data, training, training_data, trainings, weights
from deblur_core.data import camera_pairs, training_pairs, write_image
from deblur_core.errors import DeblurError, UsageError
from deblur_core.models import kernel_space
from deblur_core.models.counting import count_parameters
from deblur_core.models.kernel_space import Encoding
from deblur_core.training import Settings
from deblur_core.training_data import blurred_pictures
from deblur_core.trainings import Training, absolute_error


def tiny():
    return nn.Conv2d(3, 3, 3, padding=1)


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """A model that trains in a moment, on small pictures, in a results folder of the test's own."""
    monkeypatch.setenv("DEBLUR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DEBLUR_DATA", raising=False)
    profiles = {"smoke": Settings(steps=3, batch=2, crop=8), "laptop": Settings(steps=6, batch=2, crop=8)}
    monkeypatch.setitem(trainings.TRAININGS, "tiny", Training(tiny, absolute_error, profiles, sources=("builtin",)))
    read = training_pairs.sharp_pictures

    def small(*sources):
        return {name: picture[:, :90, :90] for name, picture in read(*sources).items()}

    monkeypatch.setattr(training_pairs, "sharp_pictures", small)
    return tmp_path


def test_a_model_is_trained_and_loaded_again(apart, capsys):
    assert cli.main(["train", "tiny", "--profile", "smoke", "--device", "cpu", "-o", str(apart / "out")]) == 0
    said = capsys.readouterr().out
    card = json.loads((apart / "out" / "tiny.json").read_text())
    assert (
        card["recipe"]["steps"] == 3 and card["parameters"] == 84 and card["seed"] == 0 and card["profile"] == "smoke"
    )
    assert card["data"]["pictures"] == 8 and card["data"]["sources"] == ["builtin"] and card["made by"]["torch"]
    assert card["scores"]["step"] == 3 and len(card["doubts"]) == 1, "three steps from nothing are not enough"
    shown = next(line for line in said.splitlines() if line.startswith("step 3 of 3: loss "))
    assert shown.endswith(f" psnr {card['scores']['psnr']:.4g}"), "a log shows how it goes"
    assert f"Held-out psnr: {card['scores']['psnr']:.4g}" in said and card["doubts"][0] in said
    loaded = weights.load("tiny", tiny(), apart / "out")
    held_out = blurred_pictures(("builtin",), Settings(steps=1, batch=1, crop=8), 0, "cpu").validate
    assert held_out(loaded)["psnr"] == pytest.approx(card["scores"]["psnr"])
    assert held_out.baseline["psnr"] == pytest.approx(card["baseline"]["psnr"])


def test_own_weights_take_the_place_of_those_that_come_along(apart, monkeypatch, capsys):
    assert cli.main(["train", "tiny", "--profile", "smoke", "--device", "cpu"]) == 0
    folder = apart / "home" / "weights"
    assert f"DEBLUR_WEIGHTS={folder} makes everything use them" in capsys.readouterr().out
    with pytest.raises(UsageError, match="no weights 'tiny'"):
        trainings.load("tiny")
    monkeypatch.setenv("DEBLUR_WEIGHTS", str(folder))
    assert {"tiny", "xydeblur"} <= set(weights.names()), "the others are still there"
    own = weights.load("tiny", tiny(), folder).state_dict()
    assert all(torch.equal(weight, own[name]) for name, weight in trainings.load("tiny").state_dict().items())
    assert weights.card("xydeblur") == weights.card("xydeblur", weights.FOLDER)
    monkeypatch.setenv("DEBLUR_WEIGHTS", str(apart / "nowhere"))
    with pytest.raises(UsageError, match="nowhere, which is not a folder: correct it, or unset it"):
        trainings.load("xydeblur")


def test_an_operator_without_kernels_to_show_is_refused(monkeypatch):
    monkeypatch.setattr(trainings, "load", lambda name: tiny())
    with pytest.raises(UsageError, match="Only the compact kernel space has kernels to show"):
        trainings.seen_by_operator(training_pairs.Blur(size=11, count=2), 0)


def test_weights_of_another_design_are_refused(apart, monkeypatch):
    def made(channels=3):
        network = tiny()
        network.design = kernel_space.Design(divergence_weight=0.1 * channels)
        return network

    monkeypatch.setitem(trainings.TRAININGS, "tiny", replace(trainings.TRAININGS["tiny"], network=made))
    path, _ = trainings.train_and_save("tiny", "smoke")
    assert weights.card("tiny", path.parent)["design"]["divergence_weight"] == pytest.approx(0.3)
    monkeypatch.setenv("DEBLUR_WEIGHTS", str(path.parent))
    trainings.load("tiny")
    other = replace(trainings.TRAININGS["tiny"], network=lambda: made(4))
    monkeypatch.setitem(trainings.TRAININGS, "tiny", other)
    with pytest.raises(DeblurError, match="'tiny' are of another design: make them again with deblur train tiny"):
        trainings.load("tiny")


def test_steps_seed_and_data_change_the_weights_and_a_repetition_does_not(apart):
    def make(**options):
        path, _ = trainings.train_and_save("tiny", "smoke", **options)
        assert path == apart / "home" / "weights" / "tiny.safetensors"
        return path.read_bytes()

    folder = apart / "pictures"
    folder.mkdir()
    picture = training_pairs.sharp_pictures("held out")["held out/coffee"]
    write_image(folder / "one.png", picture[None].float() / 255)
    made = [make(), make(seed=1), make(steps=4), make(sources=(str(folder),))]
    assert len(set(made)) == 4 and make() == made[0]


def test_a_seed_decides_the_first_weights_the_blur_and_the_steps(monkeypatch):
    seen = []

    def noted(network, loss, pairs, settings, *, seed, **options):
        seen.append((network.weight.detach().clone(), *pairs(torch.Generator().manual_seed(0)), seed))
        assert (network.bias == 7).all(), "the training's own start"
        raise KeyboardInterrupt

    def start(network):
        nn.init.constant_(network.bias, 7)
        return network

    monkeypatch.setattr(trainings, "train", noted)
    monkeypatch.setitem(trainings.TRAININGS, "tiny", replace(trainings.get("tiny"), start=start))
    for seed in (0, 1):
        with pytest.raises(KeyboardInterrupt):
            trainings.train_and_save("tiny", "smoke", seed=seed)
    (weight, blurry, sharp, first), (other, otherwise, same, second) = seen
    assert (first, second) == (0, 1) and not torch.equal(weight, other)
    assert torch.equal(sharp, same) and not torch.equal(blurry, otherwise)
    with pytest.raises(UsageError, match="0 or more, not -1"):
        trainings.train_and_save("tiny", "smoke", seed=-1)


def test_a_card_has_the_last_scores_and_the_network_it_was_made_with(monkeypatch):
    """The paper's profile trains the whole network; where there is none, its job is any other profile's."""
    settings = Settings(steps=3, batch=2, crop=8, validate_every=1)
    profiles = {"laptop": settings, "paper": settings}
    bare = replace(trainings.get("tiny"), profiles=profiles)
    monkeypatch.setitem(trainings.TRAININGS, "tiny", bare)
    path, _ = trainings.train_and_save("tiny", "laptop")
    card = weights.card("tiny", path.parent)
    assert [row["step"] for row in card["curve"]] == [1, 2, 3] and card["scores"] == card["curve"][-1]
    with monkeypatch.context() as patch:
        patch.setattr(trainings, "train", lambda *arguments, **options: pytest.fail("trained again"))
        trainings.train_and_save("tiny", "paper")
    monkeypatch.setitem(trainings.TRAININGS, "tiny", replace(bare, whole=lambda: nn.Conv2d(3, 3, 5, padding=2)))
    monkeypatch.setenv("DEBLUR_WEIGHTS", str(path.parent))
    for profile, size in (("laptop", 3), ("paper", 5)):
        trainings.train_and_save("tiny", profile)
        assert trainings.load("tiny").kernel_size == (size, size)


def test_blur_is_of_the_collection_and_the_seed_asked_for_and_judged_by_one_and_the_same():
    asked = []

    def sharp_collection(settings, seed):
        asked.append((settings, seed))
        return blur.psf.delta(5)

    kind = training_pairs.Blur(size=5, count=4, noise=0.0)
    made = [
        blurred_pictures(("builtin",), Settings(steps=1, batch=8, crop=16), seed, "cpu", kind, **options)
        for seed, options in ((3, {"collection": sharp_collection}), (4, {"exchange": True}))
    ]
    (blurry, sharp), (_, exchanged) = (one.pairs(torch.Generator().manual_seed(0)) for one in made)
    assert asked == [(kind, 3)]
    torch.testing.assert_close(blurry, sharp, rtol=0, atol=1e-5)
    levels, others = sharp.mean((2, 3)), exchanged.mean((2, 3))
    torch.testing.assert_close(levels.sort(1).values, others.sort(1).values)
    assert not torch.allclose(levels, others)
    assert made[0].baseline == made[1].baseline, "judged by the same blur"


def test_a_training_that_reads_shipped_weights_is_done_again_when_they_change(monkeypatch):
    monkeypatch.setitem(trainings.TRAININGS, "tiny", replace(trainings.get("tiny"), reads=("kernel_space",)))
    done, card = [], weights.card("kernel_space")
    monkeypatch.setattr(trainings, "run_stored", lambda job, *options: done.append(job.key))
    for sha256 in (card["sha256"], card["sha256"], "another"):
        monkeypatch.setattr(weights, "card", lambda name, sha256=sha256: card | {"sha256": sha256})
        with pytest.raises(AttributeError):  # a result was not made
            trainings.train_and_save("tiny", "smoke")
    assert done[0] == done[1] != done[2]
    assert [name for name, known in trainings.TRAININGS.items() if known.reads] == ["kernel_space_inverse", "tiny"]


def test_a_finished_training_is_not_done_again(monkeypatch):
    first, _ = trainings.train_and_save("tiny", "smoke")
    before = first.read_bytes()
    monkeypatch.setattr(trainings, "train", lambda *arguments, **options: pytest.fail("trained again"))
    again, _ = trainings.train_and_save("tiny", "smoke")
    assert again.read_bytes() == before


def test_a_training_that_was_interrupted_goes_on(monkeypatch, apart):
    monkeypatch.setattr(training, "CHECKPOINT_AFTER", -1)
    steps = []

    def interrupt(step, total, **info):
        steps.append(step)
        if steps == [1, 2, 3, 4]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainings.train_and_save("tiny", "laptop", progress=interrupt)
    assert len(list((apart / "home" / "checkpoints").iterdir())) == 1
    path, _ = trainings.train_and_save("tiny", "laptop", progress=interrupt)
    assert steps == [1, 2, 3, 4, 4, 5, 6] and not list((apart / "home" / "checkpoints").iterdir())
    resumed = path.read_bytes()
    monkeypatch.setenv("DEBLUR_HOME", str(apart / "elsewhere"))
    assert trainings.train_and_save("tiny", "laptop")[0].read_bytes() == resumed


@pytest.fixture
def films(apart):
    """Two scenes of two filmed pairs each, in GoPro's layout: a sharp one, and its mean with itself 4 px on."""
    texture = torch.rand(2, 3, 72, 100, generator=torch.Generator().manual_seed(0))
    for scene in ("GOPR0372_07_00", "GOPR0374_11_00"):
        for number, picture in enumerate(texture):
            blurry = (picture[..., 4:] + picture[..., :-4]) / 2
            for kind, one in (("blur", blurry), ("sharp", picture[..., 2:-2])):
                path = apart / "films" / "train" / scene / kind / f"{number:06}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_image(path, one[None])
    return f"gopro:{apart / 'films'}"


def test_filmed_pairs_train_alone_or_beside_blurred_pictures(films, capsys):
    path, values = trainings.train_and_save("tiny", "smoke", sources=(films,))
    said = json.loads(path.with_suffix(".json").read_text())["data"]
    assert said == {"sources": ["films"], "pairs": 2, "scenes": 1, "held out": ["GOPR0374_11_00"]}
    alone = training_data.restoration_pairs((films,), Settings(steps=1, batch=4, crop=16), 0, "cpu")
    mixed = training_data.restoration_pairs((films, "builtin"), Settings(steps=1, batch=5, crop=16), 0, "cpu")
    assert mixed.description["filmed"] == said and mixed.description["pictures"] == 8
    assert len(alone.validate.pairs) == 2 and len(mixed.validate.pairs) == 2 + 9
    assert values["baseline"] == alone.baseline != mixed.baseline
    blurry, sharp = alone.pairs(torch.Generator().manual_seed(1))
    assert blurry.shape == sharp.shape == (4, 3, 16, 16)
    torch.testing.assert_close(blurry[..., 2:-2], (sharp[..., 4:] + sharp[..., :-4]) / 2, rtol=0, atol=0.01)
    assert [part.shape for part in mixed.pairs(torch.Generator())] == [(5, 3, 16, 16)] * 2
    with pytest.raises(UsageError, match="needs at least two"):
        training_data.restoration_pairs((films, "builtin"), Settings(steps=1, batch=1, crop=16), 0, "cpu")
    assert cli.main(["train", "tiny", "--profile", "smoke", "--data", films, "--device", "cpu"]) == 0
    capsys.readouterr()


def test_a_kernel_space_trains_on_filmed_pairs_and_is_judged_by_a_scene_apart(films, monkeypatch):
    read = training_data.load_pair
    monkeypatch.setattr(training_data, "load_pair", lambda _, name: read("builtin", name))  # Levin's are a download
    for sources, pictures in (((films, "builtin"), 8), ((films,), 2)):
        data = trainings.get("kernel_space").data(sources, Settings(steps=1, batch=4, crop=32), 0, "cpu")
        assert data.description["pictures"] == pictures and data.description["filmed"]["of a batch"] == 2
        assert data.description["filmed"]["held out"] == ["GOPR0374_11_00"]
        blurry, sharp, source = data.pairs(torch.Generator().manual_seed(0))
        assert blurry.shape == sharp.shape == (4, 3, 32, 32) and source.tolist() == [1, 0, 2, 3]
        found = data.validate(trainings.load("kernel_space"))
        assert found.keys() == data.baseline.keys() == {"psnr", "filmed"}
        assert found["filmed"] > data.baseline["filmed"] + 3, "its own k blurs a sharp frame as the film did"


@pytest.mark.parametrize("beside", [(), ("builtin",)])
def test_filmed_pairs_are_turned_where_that_is_told(films, beside):
    """Theirs is a motion along x."""

    def along_x(turn):
        settings = Settings(steps=1, batch=16, crop=16)
        made = training_data.restoration_pairs((films, *beside), settings, 0, "cpu", turn=turn)
        blurry, sharp = (half[-8:] for half in made.pairs(torch.Generator().manual_seed(1)))
        error = blurry[..., 2:-2] - (sharp[..., 4:] + sharp[..., :-4]) / 2
        return int((error.abs().amax((1, 2, 3)) < 0.01).sum())

    assert along_x(False) == 8 and 0 < along_x(True) < 8


def test_beside_filmed_pairs_pictures_are_blurred_as_told_and_by_the_seed(films):
    def made(seed):
        kind = training_pairs.Blur(size=5, noise=0.0)
        settings = Settings(steps=1, batch=4, crop=16)
        batches = training_data.restoration_pairs((films, "builtin"), settings, seed, "cpu", blur=kind)
        return batches.description["blur"]["size"], *batches.pairs(torch.Generator().manual_seed(1))

    (size, blurry, sharp), (_, otherwise, same) = made(0), made(1)
    assert size == 5 and torch.equal(sharp, same)
    assert not torch.equal(blurry[:2], otherwise[:2]) and torch.equal(blurry[2:], otherwise[2:])


def test_a_digest_names_films_beside_pictures(films, apart):
    named = (("builtin",), (films,), (films, "builtin"))
    before = [training_data.digest(sources) for sources in named]
    write_image(next(apart.glob("films/train/*/sharp/*.png")), torch.zeros(1, 3, 72, 96))
    after = [training_data.digest(sources) for sources in named]
    assert before[0] == after[0] and len({*before, *after}) == 5


def test_a_kernel_space_s_neighbours_are_blurred_alike_by_a_shake_or_a_known_kernel(monkeypatch):
    texture = torch.rand(1, 120, 120, generator=torch.Generator().manual_seed(0))
    orange = (texture * torch.tensor([250.0, 150.0, 50.0])[:, None, None]).to(torch.uint8)
    monkeypatch.setattr(training_pairs, "sharp_pictures", lambda *sources: {"a": orange, "b": orange.flip(1)})
    monkeypatch.setattr(training_data, "FILMED", 2)
    collections, filmed = [], []

    def watch(module, name, calls):
        made = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, **options: calls.append(given) or made(*given, **options))

    watch(training_pairs, "SyntheticPairs", collections)
    watch(camera_pairs, "camera_pairs", filmed)
    kind = training_pairs.Blur(size=27, kinds=("shake",), count=5, noise=0.0)
    batches = training_data.blurred_alike(("builtin",), Settings(steps=1, batch=8, crop=40), 3, "cpu", kind, filmed=2)
    k = collections[0][1]
    assert torch.equal(k[:5], training_pairs.kernels(kind, seed=3)) and len(k) == 5 + 8 * 64
    known = [data.load("builtin", f"im1_kernel{i}").kernel for i in range(1, 9)]
    known = torch.cat([training_data.pad_kernel(one, 27) for one in known])
    assert all((k == one).all(2).all(1).sum() == 64 for one in known)
    assert filmed[0][2:] == (2, 3) and filmed[0][1].side == 40 + 32
    mean = k.mean(0, keepdim=True)
    judged = training_data.TransferValidation(training_pairs.sharp_pictures(), kind, mean, "cpu")
    assert batches.baseline == judged.baseline

    distinct = torch.cat((k[:5], known))

    def which(x, y):
        error = blur.convolve(x.expand(len(distinct), -1, -1, -1), distinct) - y[:, 13:-13, 13:-13]
        assert error.abs().amax((1, 2, 3)).min() < 1e-5
        return int(error.abs().amax((1, 2, 3)).argmin())

    blurry, sharp, source = batches.pairs(torch.Generator().manual_seed(0))
    found = [which(x, y) for x, y in zip(sharp[:6], blurry[:6], strict=True)]
    assert source.tolist() == [1, 0, 3, 2, 5, 4, 6, 7]
    assert found == [found[i] for i in source[:6]] and len(set(found)) > 1
    levels = sharp.mean((2, 3))
    as_it_was = (levels.diff(dim=1) < 0).all(1)
    assert not as_it_was[:6].all() and as_it_was[6:].all(), "of filmed pairs no colours are exchanged"


def test_pictures_are_filmed_where_the_camera_s_window_just_fits():
    camera = camera_pairs.Camera(side=20)
    least = 20 + 2 * camera.margin
    pictures = {f"{h}x{w}": torch.zeros(3, h, w) for h, w in ((least, least), (least - 1, 99), (99, least - 1))}
    assert list(training_data._large_enough(pictures, camera)) == [f"{least}x{least}"]


def test_wrong_requests_are_one_sentence(capsys, apart):
    for arguments, sentence in (
        (["nonsense"], "models that can be: xydeblur, "),
        (["tiny", "--profile", "weekend"], "tiny has no profile 'weekend': choose one of smoke, laptop"),
        (["tiny", "--steps", "0"], "not a whole number of at least 1"),
        (["tiny", "--seed", "-1"], "not a whole number from 0"),
        (["tiny", "--data", str(apart)], "holds no pictures"),
        (["tiny", "--data", f"gopro:{apart}"], "holds no pairs of the train split"),
    ):
        assert cli.main(["train", *arguments, "--device", "cpu"]) == 2
        assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("model", [name for name in trainings.TRAININGS if name != "tiny"])
def test_every_declared_training_takes_a_step(model):
    chosen = trainings.get(model)
    assert {"smoke", "laptop", "overnight", "paper"} == chosen.profiles.keys()
    assert count_parameters(chosen.network()) * 4 < 5_000_000, "shipped weights stay below 5 MB"
    _, values = trainings.train_and_save(model, "smoke", sources=("builtin",), steps=1)
    assert values["curve"][-1]["step"] == 1


@pytest.mark.parametrize(
    ("model", "parameters"),
    [("xydeblur", 4_918_627), ("srn", 8_061_411), ("kernel_space", 115_300_000), ("refinement", 33_200_000)],
)
def test_the_paper_s_profile_trains_a_network_of_the_paper_s_size(model, parameters, monkeypatch):
    chosen = trainings.get(model)
    with torch.device("meta"):
        assert count_parameters(chosen.build("paper")) == pytest.approx(parameters, rel=0.005)
    keys = []
    monkeypatch.setattr(trainings, "run_stored", lambda job, *options: keys.append(job.settings.get("profile")))
    for profile in ("laptop", "paper"):
        with pytest.raises(AttributeError):  # a result was not made
            trainings.train_and_save(model, profile, sources=("builtin",))
    assert keys == ["", "paper"]


def test_a_kernel_space_is_judged_by_a_blur_that_was_taken_from_another_picture():
    random = torch.Generator().manual_seed(0)
    pictures = {name: torch.randint(256, (3, 90, 90), generator=random, dtype=torch.uint8) for name in "ab"}
    blur = training_pairs.Blur(size=7, kinds=("shake",))
    validation = training_data.TransferValidation(pictures, blur, torch.full((1, 7, 7), 1 / 49), "cpu")

    class Leaking:
        """Its k is the blurry picture itself."""

        def encode(self, sharp, blurry):
            return Encoding(blurry, None)

        def blur(self, sharp, k):
            return k

    class Cheating(Leaking):
        def blur(self, sharp, k):
            return k.roll(1, 0)  # as if nothing had been swapped

    assert validation(Leaking())["psnr"] < validation.baseline["psnr"] < 25
    noise = -20 * math.log10(blur.noise)
    assert validation(Cheating())["psnr"] == pytest.approx(noise, abs=0.5), "k is taken from a noisy picture"


@pytest.mark.parametrize("batch", [2, 3, 5])
def test_neighbours_that_swap_their_blur_come_in_pairs(batch):
    with pytest.raises(UsageError, match=f"the batch is 4, 6 ..., not {batch}"):
        training_data.blurred_alike(
            ("builtin",), Settings(steps=1, batch=batch), 0, "cpu", trainings.KERNEL_SPACE_BLUR, filmed=2
        )


def test_a_known_kernel_is_never_cut_to_fit():
    k = torch.full((1, 3, 5), 1 / 15)
    padded = training_data.pad_kernel(k, 7)
    assert padded.shape == (1, 7, 7) and torch.equal(padded[:, 2:5, 1:6], k) and padded.sum() == k.sum()
    for size in (3, 6):
        with pytest.raises(UsageError, match=f"5 x 3 px does not fit into the middle of {size} px"):
            training_data.pad_kernel(k, size)


def test_filmed_pairs_that_judge_are_spread_over_their_scene():
    films = {f"{i}": torch.full((6, 2, 2), i, dtype=torch.uint8) for i in range(13)}
    chosen = [round(255 * blurry.mean().item()) for blurry, _ in training_data.as_pairs(films)]
    assert chosen == [0, 3, 6, 9, 12] and len(training_data.as_pairs({"0": films["0"]})) == 1
    blurry, sharp = training_data.as_pairs({"0": torch.tensor([0] * 3 + [255] * 3).byte()[:, None, None]})[0]
    assert torch.equal(blurry, torch.zeros(1, 3, 1, 1)) and torch.equal(sharp, torch.ones(1, 3, 1, 1))


def test_the_pictures_that_judge_are_never_trained_on():
    with pytest.raises(UsageError, match="judge every training"):
        trainings.train_and_save("srn", "smoke", sources=("builtin", "held out"))


def test_an_unknown_model_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match="'selfdeblur' cannot be trained; models that can be: xydeblur"):
        trainings.get("selfdeblur")
