"""The order of packages: each imports from those below it, and no modules form a cycle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "recns_tf"

# Packages and modules of recns_tf from the bottom up; those in one row do not import each other.
LEVELS = (
    ("errors",),
    ("utils",),
    ("interactions", "registry", "losses"),
    ("config",),
    ("ops", "evaluation", "datasets"),
    ("regions", "encoders", "runs"),
    ("samplers", "baselines", "comparison", "analysis"),
    ("training", "experiments", "reporting"),
    ("serving",),
    ("api",),
    ("service",),
    ("commands",),
    ("main",),
    ("__main__",),
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}


def modules(package):
    """Return every module of a package with the modules of it that it imports, by dotted names."""
    paths = {
        ".".join([package.name, *path.relative_to(package).with_suffix("").parts]): path
        for path in package.rglob("*.py")
    }
    names = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    found = {}
    for name, path in names.items():
        imported = set()
        # Imports inside functions and for type checkers count, too.
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{path}: a relative import"
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    imported.add(whole if whole in names else node.module)
        found[name] = {each for each in imported if each in names and each != package.name}
    return found


def violations(found, level):
    """Return the imports that do not go down a level, as pairs of modules."""
    unit = {name: name.split(".")[1] for name in found if "." in name}
    return sorted(
        (name, target)
        for name, targets in found.items()
        if name in unit
        for target in targets
        if unit[target] != unit[name] and level[unit[target]] >= level[unit[name]]
    )


def test_packages_import_from_those_below_alone():
    assert violations(modules(PACKAGE), LEVEL) == []


def test_no_modules_import_each_other_in_a_circle():
    found = modules(PACKAGE)
    # A package's __init__ is imported before any of its modules.
    TopologicalSorter(found).prepare()


def test_the_check_sees_upward_imports_and_circles(tmp_path):
    package = tmp_path / "recns_tf"
    (package / "utils").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "utils" / "__init__.py").touch()
    (package / "utils" / "files.py").write_text("def f():\n    from recns_tf import errors\n")
    (package / "errors.py").write_text("from recns_tf.utils.files import f\n")
    (package / "main.py").write_text("import recns_tf.utils.files\n")
    found = modules(package)
    assert violations(found, LEVEL) == [("recns_tf.errors", "recns_tf.utils.files")]
    try:
        TopologicalSorter(found).prepare()
    except ValueError as error:
        assert "cycle" in str(error)
    else:
        raise AssertionError("the circle is not seen")


def test_the_package_has_few_files_at_its_top():
    assert len(list(PACKAGE.glob("*.py"))) <= 8


def test_modules_have_docstrings():
    for path in PACKAGE.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path
