import json

import pytest

from recns_tf import registry
from recns_tf.config.command_line import expand
from recns_tf.config.config import Config, Workspace
from recns_tf.errors import UserError
from recns_tf.runs.folder import RunFolder


@pytest.mark.parametrize(
    ("flag", "value", "legal"),
    [
        ("num_negatives", 0, "a whole number from 1 to 10000"),
        ("num_candidates", -1, "a whole number from 1 to 10000"),
        ("khop", 4, "an odd number of steps"),
        ("alpha", "beta(1,1)", r"uniform\(a,b\)"),
        ("region", "near", "one of auto, intermediate, distant, random, all"),
        ("sampler", "recsn", "one of recns, recns-o, recns-w, unins, popns, dns, simns"),
        ("loss", "mse", "one of pairwise_hinge, augmented_hinge"),
        ("margin", 0.0, "a number above 0"),
        ("l2", -1e-4, "a number from 0 to 1000000000"),
        ("learning_rate", float("nan"), "a number above 0"),
        ("seed", -1, "a whole number from 0 to 2147483647"),
        ("seed", 2**31, "a whole number from 0 to 2147483647"),
        ("sparse_engine", "gpu", "one of csr, coo"),
        ("patience", 0, "a whole number from 1"),
        ("learning_rate", float("inf"), "a number above 0"),
        ("alpha", "1e300", r"uniform\(a,b\)"),
        ("topk", "", "at most 100 whole numbers from 1 to 1000"),
        ("topk", "5,0", "at most 100 whole numbers from 1 to 1000"),
        ("topk", "20" + ",1" * 100, "at most 100 whole numbers from 1 to 1000"),
        ("topk", "1" * 5000, "at most 4096 characters"),
        ("dim", "64", "a whole number from 1 to 65536"),
        ("dim", True, "a whole number from 1 to 65536"),
        ("dim", 64.0, "a whole number from 1 to 65536"),
        ("l2", "0", "a number from 0"),
        ("stale_scores", 1, "true or false"),
        ("sampler", None, "one of recns"),
        ("khop", 101, "an odd number of steps from 3 to 99"),
        ("num_neighbors", "25,0", "at most 64 whole numbers from 1 to 10000"),
        ("num_neighbors", "9" * 4000, "at most 64 whole numbers from 1 to 10000"),
        ("loss", "my:los\ns", "text without line breaks"),
        ("loss", "my:los\u2028s", "text without line breaks"),
        ("loss", "my:los\udcffs", "text in UTF-8"),
        ("topk", "1001", "at most 100 whole numbers from 1 to 1000"),
        ("select_by", "ndcg@10", "one of auto, recall@20, ndcg@20, hr@20, precision@20, mrr@20"),
        ("select_by", "coverage@20", "one of auto, recall@20"),
        ("select_by", "ndcg", "one of auto, recall@20"),
        ("keep", "first", "one of best, last"),
        ("eval_first", -1, "a whole number from 0"),
        ("eval_first", 1001, "at most 1000, --epochs"),
    ],
)
def test_illegal_value_error_names_the_flag_and_the_legal_values(flag, value, legal):
    with pytest.raises(UserError, match=f"^--{flag}=.*: choose {legal}"):
        Config(**{flag: value})


@pytest.mark.parametrize(
    ("topk", "select_by", "ks", "metric"),
    [
        ("20", "auto", [20], "recall@20"),
        ("20,5,10,5", "auto", [5, 10, 20], "recall@20"),
        ("9,10", "auto", [9, 10], "recall@10"),
        ("5,10", "ndcg@5", [5, 10], "ndcg@5"),
        ("1000", "map@1000", [1000], "map@1000"),
    ],
)
def test_the_selection_metric_is_recall_at_the_largest_k_or_the_given_one(
    topk, select_by, ks, metric
):
    config = Config(topk=topk, select_by=select_by)
    assert config.ks == ks and config.selection_metric == metric


@pytest.mark.parametrize(
    ("settings", "due"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        ({"eval_every": 5}, [5, 10]),
        ({"eval_every": 5, "eval_first": 1}, [1, 6, 11]),
        ({"eval_every": 2, "eval_first": 7}, [7, 9, 11]),
    ],
)
def test_validations_are_due_every_so_many_epochs_from_the_first(settings, due):
    config = Config(epochs=12, **settings)
    assert [epoch for epoch in range(1, 13) if config.is_due(epoch)] == due


def test_defaults_are_the_papers():
    default = Config()
    assert (default.num_negatives, default.num_candidates, default.khop) == (15, 20, 3)
    assert (default.dim, default.num_layers, default.margin) == (64, 3, 0.1)
    assert (default.alpha, default.l2, default.learning_rate) == ("uniform(0,1)", 1e-4, 1e-3)
    assert (default.patience, default.loss) == (10, "pairwise_hinge")
    assert (default.ks, default.selection_metric) == ([20], "recall@20")


def test_run_folder_name_distinguishes_runs():
    place = Workspace(runs_dir="r")
    assert str(place.run_folder(Config(sampler="dns"))) == "r/ml-100k-lightgcn-dns"
    assert str(place.run_folder(Config(seed=3))) == "r/ml-100k-lightgcn-recns-seed3"
    assert str(Workspace(runs_dir="r", run_name="x").run_folder(Config(seed=3))) == "r/x"


def test_config_file_is_replaced_by_its_flags_in_place(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(Config(khop=5, seed=7).to_json() | {"data_checksum": "abc"}))
    typed = ["main", "--khop=3", "--seed=8"]
    expanded = expand([*typed[:2], f"--config={path}", *typed[2:]])
    assert expanded[1:] == (["ml-100k", "lightgcn"], typed, path)
    arguments = expanded.line
    assert arguments[:2] == ["main", "--khop=3"] and arguments[-1] == "--seed=8"
    assert {"--khop=5", "--seed=7", "--alpha=uniform(0,1)"} <= set(arguments[2:-1])
    assert not any("data_checksum" in argument for argument in arguments)
    assert expand([*typed[:2], "--config", str(path), *typed[2:]]) == expanded


def test_flag_missing_from_a_config_file_gets_its_default(tmp_path):
    settings = Config(khop=5).to_json()
    del settings["layout"]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings))
    expanded = expand(["main", f"--config={path}"])
    assert {"--khop=5", "--layout=pinsage"} <= set(expanded.line)


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"dataset": "ml-100k"}'])
def test_invalid_config_file_is_an_error(tmp_path, content):
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=r"config\.json is not a run's config\.json"):
        expand(["main", f"--config={path}"])


def test_every_name_in_the_registry_loads():
    for entries in (
        registry.DATASETS,
        registry.ENCODERS,
        registry.SAMPLERS,
        registry.LOSSES,
        registry.BASELINE_MODELS,
    ):
        for name, entry in entries.items():
            assert callable(entry.load()), name
            assert name in registry.describe() and entry.summary in registry.describe()


def test_for_run_reads_flagfiles_and_explicit_settings_override_them():
    config = Config.for_run("ml-100k", "pinsage", khop=7)
    assert (config.dataset, config.encoder, config.khop) == ("ml-100k", "pinsage", 7)
    assert (config.dim, config.l2, config.num_layers, config.batch_size) == (256, 1e-3, 2, 2048)
    assert config.differences(Config.for_run("ml-100k", "pinsage")) == {"khop": 7}


def test_settings_of_earlier_versions_are_updated():
    old = Config(region_definition="shell").to_json() | {"data_checksum": "abc"}
    old["region_reading"] = old.pop("region_definition")
    for newer in ("layout", "topk", "select_by"):
        del old[newer]
    assert Config.from_json(old) == Config(region_definition="shell")
    with pytest.raises(TypeError, match="no_such"):
        Config.from_json(old | {"no_such": 1})


@pytest.mark.parametrize(
    "wrong", [{"dim": "8"}, {"dim": 8.0}, {"dim": True}, {"l2": None}, {"l2": False},
              {"sampler": ["dns"]}, {"topk": 20}],
)  # fmt: skip
def test_setting_of_a_wrong_type_is_an_error(wrong):
    (name,) = wrong
    with pytest.raises(TypeError, match=f"'{name}' has the wrong type"):
        Config.from_json(Config().to_json() | wrong)
    assert Config.from_json(Config().to_json() | {"l2": 0}).l2 == 0


def test_changed_config_of_a_run_is_refused_and_a_copy_is_not(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.claim(Config().to_json(), overwrite=False):
        pass
    assert "--dim=64" in expand(["main", f"--config={folder.config}"])[0]
    text = folder.config.read_text().replace('"dim": 64', '"dim": 65')
    folder.config.write_text(text)
    with pytest.raises(UserError, match=r"config\.json is damaged, or was changed.*copy it"):
        expand(["main", f"--config={folder.config}"])
    (tmp_path / "mine.json").write_text(text)
    assert "--dim=65" in expand(["main", f"--config={tmp_path}/mine.json"])[0]
