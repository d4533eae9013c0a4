import pytest

from recns_tf import laws
from recns_tf.errors import UserError
from recns_tf.laws import Law


@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("uniform(0,1)", Law("uniform", 0, 1)),
        ("Uniform( 0 , .5 )", Law("uniform", 0, 0.5)),
        ("normal(0,0.5)", Law("normal", 0, 0.5)),
        ("NORMAL(-1,1e-2)", Law("normal", -1, 0.01)),
        ("0.3", Law("constant", 0.3, 0)),
        ("1", Law("constant", 1, 0)),
    ],
)
def test_parse(text, law):
    assert laws.parse(text) == law


@pytest.mark.parametrize(
    "text",
    ["", "beta(1,2)", "uniform(1,0)", "uniform(0,0)", "normal(0,0)", "normal(0,-1)", "uniform(0)",
     "nan", "1e999", "uniform(0,1e999)", "uniform(0,1);x"],
)  # fmt: skip
def test_what_is_no_law_is_refused_with_the_legal_forms(text):
    with pytest.raises(UserError, match=r"write uniform\(a,b\)"):
        laws.parse(text)
