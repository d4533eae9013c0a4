"""What is refused before training, for every part that could be chosen."""

import dataclasses

import pytest

from recns_tf import registry
from recns_tf.config.config import Workspace
from recns_tf.errors import UserError
from recns_tf.training.build import build
from recns_tf.training.train import train_and_evaluate
from tests.training.worlds import NUM_ITEMS, saturated

READ_CANDIDATES = ("recns", "recns-o", "recns-w")


@pytest.mark.parametrize(
    ("encoder", "sampler"),
    [("mf", sampler) for sampler in registry.SAMPLERS]
    + [(encoder, "recns") for encoder in registry.ENCODERS],
)
def test_dataset_without_negatives_is_an_error(toy_config, tmp_path, encoder, sampler):
    config = dataclasses.replace(toy_config, encoder=encoder, sampler=sampler)
    workspace = Workspace(runs_dir=str(tmp_path))
    with pytest.raises(UserError, match=r"full: .* has every item, so no negative exists: hold"):
        train_and_evaluate(config, workspace, saturated())
    assert not workspace.run_folder(config).exists(), "nothing blocks the corrected command"


@pytest.mark.slow
@pytest.mark.parametrize("pair_sampling", registry.PAIR_SAMPLINGS)
def test_user_with_every_item_does_not_hinder_the_others(toy_config, tmp_path, pair_sampling):
    config = dataclasses.replace(
        toy_config, encoder="mf", sampler="unins", pair_sampling=pair_sampling, epochs=1
    )
    workspace = Workspace(runs_dir=str(tmp_path))
    data = saturated(others=[(3, 0)])
    assert train_and_evaluate(config, workspace, data)["epochs_run"] == 1


@pytest.mark.parametrize("sampler", registry.SAMPLERS)
def test_number_of_candidates_limits_only_samplers_that_read_them(toy_config, sampler):
    config = dataclasses.replace(
        toy_config, encoder="mf", sampler=sampler, num_candidates=NUM_ITEMS + 1
    )
    data = saturated(others=[(3, 0)])
    if sampler in READ_CANDIDATES:
        with pytest.raises(UserError, match=f"--num_candidates=4: choose at most {NUM_ITEMS}, the"):
            build(config, data)
    else:
        build(config, data)


@pytest.mark.parametrize("sampler", ["dns", "unins"])
def test_size_of_pools_limits_only_samplers_that_read_candidates(toy, toy_config, sampler):
    config = dataclasses.replace(
        toy_config, encoder="mf", sampler=sampler, region="intermediate", region_memory=0.0,
        pool_size=3, num_candidates=4,
    )  # fmt: skip
    _, _, candidates = build(config, toy)
    assert candidates.pool is not None


def test_dns_draws_more_candidates_than_there_are_items(toy_config):
    config = dataclasses.replace(toy_config, encoder="mf", sampler="dns", num_candidates=50)
    model, pipeline, _ = build(config, saturated(others=[(3, 0)]))
    batch = next(iter(pipeline.batches()))
    ids = model.sampler.sample(
        batch, model.sampler.encode(model.encoder, False), batch.seed
    ).ids.numpy()
    assert set(ids.flat) <= {1, 2}


@pytest.mark.parametrize("sampler", ["advns", "rns-as"])
def test_generator_needs_a_candidate_for_each_negative(toy, toy_config, sampler):
    """In the warm-up, the negatives are the first k candidates."""
    config = dataclasses.replace(
        toy_config, encoder="mf", sampler=sampler, generator_candidates=2, rnsas_exposed=0
    )
    with pytest.raises(UserError, match="--generator_candidates=2: choose at least 3, --num_neg"):
        build(config, toy)
