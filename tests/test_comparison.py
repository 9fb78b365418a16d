"""Matched style, the numbers of the comparison, and what "preserve" is when its terms are off."""

import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nstlab import images, metrics
from nstlab.errors import SettingError
from nstlab.experiments import comparison
from nstlab.experiments.comparison import TERMS, VARIANTS, Pair, changes, compare, match_style, only, sign_test, without
from nstlab.guidance import Guide
from nstlab.systems import plan, stylize

QUICK = {"size": 64, "steps": 4}


@settings(deadline=None, max_examples=40)
@given(st.floats(-1.5, -0.2), st.floats(0.1, 10), st.floats(0.0, 0.3))
def test_match_style_finds_the_factor(slope, factor, bend):
    """On any falling curve that is nearly a line in logarithms, in few trials."""

    def distance(x):
        return math.exp(slope * math.log(x) + bend * math.sin(math.log(x)) * abs(slope))

    tried = []
    found = match_style(lambda x: tried.append(x) or torch.tensor(x), lambda image: distance(image.item()), distance(factor))
    assert found.reached and abs(found.distance / distance(factor) - 1) <= 0.02 and len(tried) == len(found.trials) <= 8
    assert found.image.item() == pytest.approx(found.factor)


@pytest.mark.parametrize("shipped", [comparison.measured, comparison.ablation])
def test_what_ships_is_compared_on_every_pair_at_matched_style(shipped):
    rows, _ = shipped()
    pairs = {(row["content"], row["style"]) for row in rows}
    assert {"gatys", "full"} <= {row["variant"] for row in rows} and len(pairs) >= 10
    for variant in {row["variant"] for row in rows}:
        assert len(changes(rows, variant, "deep")) == len(changes(rows, variant, "stroke_share")) == len(pairs)
        reached = [row["matched"] for row in rows if row["variant"] == variant]
        off = [abs(change) for change, there in zip(changes(rows, variant, "style_distance"), reached, strict=True) if there]
        assert max(off) <= 0.0201


def test_match_style_says_when_it_cannot():
    stuck = match_style(torch.tensor, lambda image: 0.5, target=0.1)
    assert not stuck.reached and stuck.distance == 0.5 and max(factor for factor, _ in stuck.trials) <= 64
    with pytest.raises(SettingError, match="nothing to match"):
        match_style(torch.tensor, lambda image: 0.5, target=0.0)


def test_sign_test_by_hand():
    assert sign_test(11, 1) == pytest.approx(2 * (1 + 12) / 2**12)
    assert sign_test(3, 3) == sign_test(0, 0) == 1
    assert sign_test(0, 5) == pytest.approx(2 / 32)


def test_variants_switch_what_they_say():
    assert without() == {"weights": {}} and only(*TERMS) == without()
    assert without("inside", "semantic") == {"weights": {"inside": 0.0, "semantic": 0.0}}
    assert set(VARIANTS) == {"full", *(f"{word} {term}" for word in ("only", "without") for term in TERMS)}
    with pytest.raises(SettingError, match="did you mean semantic"):
        without("semantics")


def test_no_terms_and_uniform_maps_are_gatys_exactly(fast_encoder):
    plain = stylize("coffee", "great-wave", **QUICK, encoder=fast_encoder).image
    guide = torch.rand(1, 1, 43, 64, generator=torch.Generator().manual_seed(0))
    bare = stylize("coffee", "great-wave", **QUICK, encoder=fast_encoder, system="preserve", guide=guide, **only())
    assert torch.equal(plain, bare.image)
    for level in (0.0, 1.0):
        with pytest.warns(UserWarning, match="the same everywhere: nothing is protected"):
            flat = stylize("coffee", "great-wave", **QUICK, encoder=fast_encoder, system="preserve", guide=guide * 0 + level)
        assert torch.equal(plain, flat.image)


def test_hard_cases_are_painted(fast_encoder):
    """A region of a few pixels, a photo with nothing in it, a grey style, a map of another size."""
    speck = torch.zeros(1, 1, 90, 60)
    speck[..., 10:12, 20:22] = 1
    made = stylize("coffee", "great-wave", **QUICK, encoder=fast_encoder, system="preserve", guide=speck)
    assert made.image.shape == (1, 3, 43, 64) and made.image.isfinite().all()
    grey = images.load("great-wave", 64).mean(1, keepdim=True).expand(1, 3, -1, -1)
    assert stylize("coffee", grey, **QUICK, encoder=fast_encoder, system="preserve").image.isfinite().all()
    flat = torch.full((1, 3, 64, 64), 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert stylize(flat, "great-wave", **QUICK, encoder=fast_encoder, system="preserve").image.isfinite().all()
    with pytest.raises(SettingError, match="values from 0 to 255: scale them to"):
        plan("coffee", "spring", **QUICK, system="preserve", guide=torch.tensor([[0.0, 255.0]]))
    with pytest.raises(SettingError, match="unknown option of gatys 'guide'"):
        plan("coffee", "spring", **QUICK, guide=speck)


@pytest.fixture(scope="module")
def pair(fast_encoder):
    guide = torch.zeros(1, 1, 96, 96)
    guide[..., 8:40, 28:60] = 1  # her head
    return Pair("astronaut", "starry-night", 96, 20, strength=1.0, encoder=fast_encoder, guide=Guide(guide, "a box"))


def test_share_is_one_for_the_baseline_and_zero_for_the_photo(pair):
    assert pair.share(pair.baseline) == 1 and pair.share(pair.photo) == 0
    measured = pair.measure(pair.photo)
    assert measured["features"] == measured["deep"] == measured["gmsd"] == 0 and measured["edge_f1"] == 1
    assert measured["1-ssim"] == pytest.approx(0, abs=1e-6) and measured["1-structure"] == pytest.approx(0, abs=1e-4)
    assert measured["recognised"] == pytest.approx(1, abs=1e-4) and measured["faces_found"] == measured["faces"]
    assert measured["stroke_share"] < 1e-6 and measured["bare"] == 1
    gatys = pair.measure(pair.baseline)
    assert gatys["stroke_share"] == pytest.approx(1, abs=0.02) and gatys["bare"] < 0.02


def test_the_main_claim_on_one_pair(pair):
    """At matched style the salient region is nearer to the photo above its strokes, and it has strokes nevertheless."""
    gatys, full = compare(pair, {"full": VARIANTS["full"]})
    assert full["matched"] and abs(full["style_distance"] / gatys["style_distance"] - 1) <= 0.02
    for measure in ("relu4_2", "deep", "1-structure"):
        assert full[measure] < 0.9 * gatys[measure], measure
    assert full["stroke_share"] > 0.25 and full["share"] > 0.8  # at this size her face leaves little room for strokes


def test_changes_leave_out_pairs_without_the_measure():
    rows = [
        {"content": name, "style": "s", "variant": v, "face": f} for name, v, f in (("a", "gatys", 2.0), ("a", "full", 1.0))
    ]
    rows += [{"content": "b", "style": "s", "variant": v} for v in ("gatys", "full")]
    assert changes(rows, "full", "face") == [-0.5]


def test_emphasis_alone_keeps_the_region_at_matched_style(pair):
    """Section 12: k = 4 lowers the feature distance inside by 15 % or more at a style distance within 5 %."""
    match = pair.matched(only() | {"k": 4.0}, tolerance=0.05)
    assert match.reached and pair.measure(match.image)["relu4_2"] < 0.85 * pair.measure(pair.baseline)["relu4_2"]


def test_saliency_of_the_output_stays_nearer_to_that_of_the_photo(pair):
    """Section 22: the top fifth of a classical map overlaps at least as well with the photo's as the baseline's does."""
    from nstlab.guidance import saliency

    def top(image):
        values = saliency(image, "barrier").map
        return values >= torch.quantile(values, 0.8)

    def overlap(image):
        one, other = top(image), top(pair.photo)
        return ((one & other).sum() / (one | other).sum()).item()

    kept = pair.matched(VARIANTS["full"], tolerance=0.1).image
    assert overlap(kept) > overlap(pair.baseline) - 0.02


def test_less_style_inside_with_more_damping(pair, fast_encoder, painting):
    """Section 12: as the style counts less inside, the region's distance to the painting grows; outside it hardly changes."""
    from nstlab.losses import ContentLoss
    from nstlab.losses.region import DampedStyleLoss
    from nstlab.objective import Objective
    from nstlab.optimize import optimize

    inside, outside = [], []
    for d in (0.0, 0.5, 0.9):
        losses = {"content": ContentLoss(pair.photo), "style": DampedStyleLoss(pair.painting, pair.inside, d=d)}
        *_, last = optimize(Objective(fast_encoder, losses, {"style": 60}), pair.photo, 25)
        for found, guide in ((inside, pair.inside), (outside, 1 - pair.inside)):
            found.append(metrics.style_distance(fast_encoder, last.image, pair.painting, guide=guide))
    assert inside == sorted(inside) and inside[-1] > 1.2 * inside[0]
    assert max(outside) < 1.15 * min(outside)
