"""Every public function says what each of its parameters is: one parameter a line, or several that are alike."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "mixbench"
COMMANDS = "cli/commands/__init__.py"
BASE = "class C:\n def f(self, a): 'Purpose.\\n\\na: a number.'\n"
LINE = re.compile(r" *(\w+(?:, \w+)*):(?= )")  # `name: what it is`, or `one, other: what they are`


def described(docstring: str) -> set[str]:
    """The names that begin a line of a docstring and are followed by a colon."""
    lines = (LINE.match(line) for line in docstring.splitlines()[1:])
    return {name for line in lines if line for name in line[1].split(", ")}


def parameters(function: ast.FunctionDef, of_class: bool) -> list[str]:
    """The parameters that a caller passes: not self, not cls, and none that the function ignores, such as `_`."""
    given = function.args
    names = [each.arg for each in given.posonlyargs + given.args]
    if of_class and "staticmethod" not in map(ast.unparse, function.decorator_list):
        names = names[1:]
    names += [each.arg for each in [given.vararg, *given.kwonlyargs, given.kwarg] if each]
    return [name for name in names if not name.startswith("_")]


def is_draw(function: ast.FunctionDef) -> bool:
    """Whether it is registered with `@draw(…)`: class Draw says once what all of them take."""
    return any(ast.unparse(each).startswith("draw(") for each in function.decorator_list)


def public_functions(node: ast.Module | ast.ClassDef) -> Iterator[tuple[ast.FunctionDef, ast.ClassDef | None]]:
    """Functions and methods of public classes, each with its class. Functions inside functions are not public."""
    for each in node.body:
        if getattr(each, "name", "_").startswith("_"):
            continue
        if isinstance(each, ast.ClassDef):
            yield from public_functions(each)
        elif isinstance(each, ast.FunctionDef):
            yield each, node if isinstance(node, ast.ClassDef) else None


def methods(classes: dict[str, ast.ClassDef], bases: Iterable[ast.expr]) -> set[str]:
    """The methods that classes of the package hand down; another class cannot be read and hands down none."""
    names = (ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in bases)
    known = [classes[name] for name in names if name in classes]
    own = {each.name for one in known for each in one.body if isinstance(each, ast.FunctionDef)}
    return own.union(*(methods(classes, one.bases) for one in known))


def undescribed(sources: dict[str, str]) -> list[str]:
    """Return `module:line function: parameters` for each public function whose docstring leaves parameters out.

    An override may leave its parameters to the method that it overrides, and a command its words to the table of
    commands, which says what each command takes.
    """
    trees = {module: ast.parse(source) for module, source in sources.items()}
    classes = {node.name: node for tree in trees.values() for node in tree.body if isinstance(node, ast.ClassDef)}
    table = trees.get(COMMANDS, ast.Module([], [])).body
    commands = {alias.name for node in table if isinstance(node, ast.ImportFrom) for alias in node.names}
    found = []
    for module, tree in trees.items():
        in_commands = Path(module).parent == Path(COMMANDS).parent
        for function, owner in public_functions(tree):
            if is_draw(function) or (owner and function.name in methods(classes, owner.bases)):
                continue
            names = described(ast.get_docstring(function) or "")
            names |= {"words"} if in_commands and function.name in commands else set()
            left_out = [name for name in parameters(function, owner is not None) if name not in names]
            if left_out:
                found.append(f"{module}:{function.lineno} {function.name}: {', '.join(left_out)}")
    return found


def test_every_parameter_of_a_public_function_has_a_line():
    paths = sorted(PACKAGE.rglob("*.py"))
    assert undescribed({str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8") for path in paths}) == []


@pytest.mark.parametrize(
    ("source", "left_out"),
    [
        ("def f(a, *, b): 'Purpose.\\n\\na: a number.\\nb: a number.'", None),
        ("def f(a, *, b): 'Purpose.\\n\\na, b: numbers.'", None),
        ("def f(a, *, b): 'Purpose.\\n\\na: a number, as is b: a number.'", "b"),
        ("def f(a): 'a: a number.'", "a"),
        ("def f(a): pass", "a"),
        ("def f(*a, **b): 'Purpose.'", "a, b"),
        ("def _f(a): pass", None),
        ("def f():\n def g(a): pass", None),
        ("class _C:\n def f(self, a): pass", None),
        ("class C:\n def f(self, a): pass", "a"),
        ("class C:\n @staticmethod\n def f(a): pass", "a"),
        ("class C:\n @property\n def f(self): pass", None),
        ("class C(nn.Module):\n def f(self, a): pass", "a"),
        (BASE + "class D(C[int]): pass\nclass E(D):\n def f(self, a): pass", None),
        (BASE + "class D(C):\n def g(self, a): pass", "a"),
        ("def f(_): 'Purpose.'", None),
        ("@draw(Purpose.SHIFT)\ndef f(plan): 'Purpose.'", None),
    ],
)
def test_a_parameter_without_a_line_is_found(source, left_out):
    found = undescribed({"module.py": source})
    assert [line.partition(": ")[2] for line in found] == [left_out] * (left_out is not None)


def test_commands_leave_their_words_to_the_table_of_commands():
    table = "from mixbench.cli.commands.train import run"
    source = "def run(words, many): 'Purpose.'\ndef helper(words): 'Purpose.'"
    assert undescribed({COMMANDS: table, "cli/commands/train.py": source}) == [
        "cli/commands/train.py:1 run: many",
        "cli/commands/train.py:2 helper: words",
    ]
