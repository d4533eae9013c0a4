"""Whether the parts that settings name go together, without data."""

import dataclasses

import pytest

from recns_tf import registry
from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.samplers.parts import Parts
from recns_tf.training.build import build
from tests.conftest import LAYERED


def check(**settings):
    config = Config(**settings)
    Parts.load(config).check(config)


@pytest.mark.parametrize("encoder", registry.ENCODERS)
@pytest.mark.parametrize("sampler", registry.SAMPLERS)
def test_every_sampler_goes_with_every_encoder_but_for_two(encoder, sampler):
    if encoder == "pinsage" and sampler in LAYERED:
        with pytest.raises(UserError, match=f"^--sampler={sampler} chooses .* which pinsage does"):
            check(encoder=encoder, sampler=sampler)
    else:
        check(encoder=encoder, sampler=sampler)


@pytest.mark.parametrize(
    ("sampler", "legal", "wrong", "sentence"),
    [
        ("recns", {"num_exposed": 20}, {"num_exposed": 21}, "--num_exposed=21: choose at most 20"),
        ("dns-mn", {"dns_top": 20}, {"dns_top": 21}, "--dns_top=21: choose at most 20"),
        ("srns", {"srns_memory": 15}, {"srns_memory": 14}, "--srns_memory=14: choose at least 15"),
        (
            "advns",
            {"generator_candidates": 15},
            {"generator_candidates": 14},
            "--generator_candidates=14: choose at least 15",
        ),
        (
            "rns-as",
            {"generator_candidates": 25, "rnsas_exposed": 10},
            {"generator_candidates": 25, "rnsas_exposed": 11},
            "--rnsas_exposed=11: choose at most 10",
        ),
        ("ppr-hard", {"ppr_last": 2_000}, {"ppr_last": 1_999}, "--ppr_first=2000: choose at most"),
        ("dens", {"scores": "inner"}, {"scores": "cosine"}, "--scores=cosine: --sampler=dens"),
        (
            "inbatch",
            {"inbatch_hits": "keep", "region": "all"},
            {"inbatch_hits": "keep", "region": "distant"},
            "--inbatch_hits=keep: choose --inbatch_hits=mask with --region=distant",
        ),
    ],
)
def test_settings_that_a_sampler_does_not_go_with(sampler, legal, wrong, sentence):
    check(sampler=sampler, **legal)
    with pytest.raises(UserError, match=f"^{sentence}"):
        check(sampler=sampler, **wrong)
    check(sampler="unins", **wrong)


def test_data_are_not_read_before_the_parts_are_checked(toy_config):
    config = dataclasses.replace(toy_config, sampler="dens", encoder="pinsage")
    with pytest.raises(UserError, match=r"^--sampler=dens chooses negatives in each"):
        build(config, None)
