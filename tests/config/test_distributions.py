import pytest

from recns_tf.config import distributions
from recns_tf.config.distributions import Distribution
from recns_tf.errors import UserError


@pytest.mark.parametrize(
    ("text", "distribution"),
    [
        ("uniform(0,1)", Distribution("uniform", 0, 1)),
        ("Uniform( 0 , .5 )", Distribution("uniform", 0, 0.5)),
        ("normal(0,0.5)", Distribution("normal", 0, 0.5)),
        ("NORMAL(-1,1e-2)", Distribution("normal", -1, 0.01)),
        ("0.3", Distribution("constant", 0.3, 0)),
        ("1", Distribution("constant", 1, 0)),
    ],
)
def test_parse(text, distribution):
    assert distributions.parse(text) == distribution


@pytest.mark.parametrize(
    "text",
    ["", "beta(1,2)", "uniform(1,0)", "uniform(0,0)", "normal(0,0)", "normal(0,-1)", "uniform(0)",
     "nan", "1e999", "uniform(0,1e999)", "uniform(0,1);x"],
)  # fmt: skip
def test_invalid_distribution_error_names_the_legal_forms(text):
    with pytest.raises(UserError, match=r"write uniform\(a,b\)"):
        distributions.parse(text)
