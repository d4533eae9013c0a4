"""Every flag of every command has legal values, and refuses all others in one sentence."""

import dataclasses
import importlib
import math
import pkgutil

import pytest
from absl import flags

import benchmarks
from recns_tf import registry
from recns_tf.config.config import Config, Workspace
from recns_tf.config.flags import Checked, explicit_flags, flag_fields, from_flags, make_flags
from recns_tf.datasets.preparation import Preparation
from recns_tf.errors import UserError
from recns_tf.experiments.options import ReproduceSettings


def all_settings():
    """Return the settings classes of all commands and of all single benchmarks."""
    for module in pkgutil.iter_modules(benchmarks.__path__, "benchmarks."):
        importlib.import_module(module.name)
    classes = {cls for entry in registry.COMMANDS.values() for cls in entry.load().settings}
    waiting = [Checked]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if dataclasses.is_dataclass(cls) and cls.__module__.startswith(("recns_tf", "benchmarks")):
            classes.add(cls)
    return sorted(classes, key=lambda cls: f"{cls.__module__}.{cls.__qualname__}")


FIELDS = [(cls, field) for cls in all_settings() for field in dataclasses.fields(cls)]
NUMERIC = [(cls, field) for cls, field in FIELDS if type(field.default) in (int, float)]


def test_the_settings_of_all_commands_are_found():
    names = {cls.__name__ for cls, _ in FIELDS}
    assert names >= {"Config", "Workspace", "Preparation", "Report", "Comparison", "Measuring"}
    assert len(NUMERIC) > 60


@pytest.mark.parametrize(("cls", "field"), NUMERIC, ids=lambda each: getattr(each, "name", ""))
def test_a_numeric_flag_has_two_finite_bounds_and_keeps_them(cls, field):
    rule, kind = field.metadata["rule"], type(field.default)
    assert rule is not None and rule.bounds is not None
    low, high = rule.bounds
    assert -math.inf < low <= field.default <= high <= 1e12
    assert all(f"{bound:.15g}" in rule.legal for bound in (low, high))
    assert kind is float or high < 2**31, "a count fits into int32"
    # Whatever the rule says, what lies outside its bounds is refused.
    step = 1 if kind is int else max(1e-9, abs(high) * 1e-9)
    outside = [low - step, high + step, -(2**63), 2**63, 10**400 if kind is int else 1e308]
    outside += [] if kind is int else [math.nan, math.inf, -math.inf]
    for value in outside:
        with pytest.raises(UserError, match=f"^--{field.name}=.*: choose "):
            cls(**{field.name: value})


@pytest.mark.parametrize(("cls", "field"), FIELDS, ids=lambda each: getattr(each, "name", ""))
def test_a_value_of_another_type_is_one_sentence(cls, field):
    if field.name not in {each.name for each in flag_fields(cls)}:
        return
    kind = type(field.default)
    wrong = {
        int: ("ten", "1.5", "", "1e3", "0x", "٣x", "1" * 5_000),
        float: ("ten", "", "1,5", "0.1.2", "--"),
        bool: ("maybe", "", "2", "yes please"),
        str: ("a\nb", "a\0b", "a\x1b[2J", "a\u2028b", "\udcff", "x" * 200_000),
    }[kind]
    if field.metadata["control_characters"]:
        wrong = ("a\nb", "a\0b", "a\u2028b", "\udcff", "x" * 200_000)
    for text in wrong:
        values = make_flags(cls)
        with pytest.raises((UserError, flags.IllegalFlagValueError)) as caught:
            values(["program", f"--{field.name}={text}"])
            from_flags(cls, values=values)
        sentence = str(caught.value)
        assert sentence.startswith(f"--{field.name}=") and ": choose " in sentence
        assert sentence.isprintable() and len(sentence) < 1_000


@pytest.mark.parametrize(
    "name", [" ", "a ", " a", "\ta", "a/b", ".", "..", "x" * 201, "é" * 101, "a\nb", "\udcff"]
)
def test_a_run_name_is_the_name_of_one_folder(name):
    with pytest.raises(UserError, match=r"^--run_name=.*: choose "):
        Workspace(run_name=name)


@pytest.mark.parametrize("name", ["", "a", "a b", "x" * 200, "é" * 100, "重跑", "run.1", "a:b"])
def test_legal_run_names(name):
    assert Workspace(run_name=name).run_name == name


@pytest.mark.parametrize("flag", ["data_dir", "runs_dir"])
@pytest.mark.parametrize("value", ["", " ", "\u00a0", "a\nb", "x" * 5_000])
def test_a_folder_has_a_name(flag, value):
    with pytest.raises(UserError, match=f"^--{flag}=.*: choose "):
        Workspace(**{flag: value})


def test_separators_and_long_lists_are_legal():
    assert Preparation(separator="\t").separator == "\t"
    assert Preparation(separator="\x01", escape="\x02").escape == "\x02"
    names = ",".join(f"part-{number:05}.csv" for number in range(5_000))
    assert Preparation(input=names, columns=names).input == names
    with pytest.raises(UserError, match=r"--user=part-.*: choose at most 4096 characters"):
        Preparation(user=names)


@pytest.mark.parametrize(
    ("text", "numbers"), [("0", [0]), ("2,0,2", [2, 0]), ("2147483647", [2_147_483_647])]
)
def test_seeds(text, numbers):
    assert ReproduceSettings(seeds=text).seed_numbers == numbers


@pytest.mark.parametrize("text", ["", "0,", "-1", "1.0", "2147483648", "9" * 4_000, "٣"])
def test_illegal_seeds(text):
    with pytest.raises(UserError, match=r"^--seeds=.*: choose at most 10000 whole numbers from 0"):
        ReproduceSettings(seeds=text)


@pytest.mark.parametrize(
    ("words", "sampler", "strategy", "given"),
    [
        (["--strategy=mirrored"], "recns", "mirrored", {"strategy"}),
        (["--strategy=dns", "--strategy=columns"], "dns", "columns", {"sampler", "strategy"}),
        (["--strategy=DNS"], "dns", "none", {"sampler"}),
        (["--strategy=my.module:Sampler"], "my.module:Sampler", "none", {"sampler"}),
        (["--strategy=dns", "--strategy=mirrored"], "dns", "mirrored", {"sampler", "strategy"}),
        ([], "recns", "none", set()),
    ],
)
def test_strategy_is_also_the_original_name_of_sampler(words, sampler, strategy, given):
    values = make_flags(Config)
    values(["program", *words])
    config = from_flags(Config, values)
    assert (config.sampler, config.strategy) == (sampler, strategy)
    assert explicit_flags(Config, values) == given


def test_a_wrong_strategy_is_named():
    values = make_flags(Config)
    values(["program", "--strategy=mirored"])
    with pytest.raises(
        UserError, match=r"--strategy=mirored: choose one of none, mirrored, columns, batch\."
    ):
        from_flags(Config, values)
