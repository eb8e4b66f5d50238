"""What people and type checkers read: docstrings, and stubs that say what is there."""

import ast
import inspect
import os
import unittest

import nlsh
from nlsh import _search

FOLDER = os.path.dirname(nlsh.__file__)


def stub(name):
    with open(os.path.join(FOLDER, name + ".pyi")) as file:
        return ast.parse(file.read()).body


def parameters(function):
    """(name, has a default, is by keyword only) of a function in a stub."""
    a = function.args
    plain = a.posonlyargs + a.args
    n_bare = len(plain) - len(a.defaults)
    rows = [(p.arg, i >= n_bare, False) for i, p in enumerate(plain)]
    return rows + [(p.arg, d is not None, True) for p, d in zip(a.kwonlyargs, a.kw_defaults)]


class Words(unittest.TestCase):
    def test_everything_public_is_documented(self):
        for name in nlsh.__all__:
            thing = getattr(nlsh, name)
            if callable(thing):
                self.assertTrue(inspect.getdoc(thing), name)
        for name, member in inspect.getmembers(nlsh.Index):
            if not name.startswith("_") and callable(member):
                self.assertTrue(inspect.getdoc(member), name)

    def test_stubs_name_the_methods_as_they_are(self):
        for item in stub("_search"):
            if not isinstance(item, ast.ClassDef):
                continue
            kind = getattr(_search, item.name)
            for method in item.body:
                if not isinstance(method, ast.FunctionDef) or method.name.startswith("_"):
                    continue
                said = [(p.name, p.default is not p.empty, p.kind is p.KEYWORD_ONLY)
                        for p in inspect.signature(getattr(kind, method.name)).parameters.values()]
                self.assertEqual(said, parameters(method), method.name)

    def test_stubs_and_modules_have_the_same_names(self):
        names = ["_search"] + ["_learn"] * nlsh.can_learn()
        for name in names:
            module = __import__("nlsh." + name, fromlist=["_"])
            there = {n for n in vars(module) if not n.startswith("__")}
            said = set()
            for item in stub(name):
                if isinstance(item, (ast.FunctionDef, ast.ClassDef)):
                    said.add(item.name)
                elif isinstance(item, ast.AnnAssign):
                    said.add(item.target.id)
            self.assertEqual(said, there)

    def test_the_package_is_typed(self):
        self.assertTrue(os.path.exists(os.path.join(FOLDER, "py.typed")))

    def test_version_is_the_librarys(self):
        self.assertRegex(nlsh.__version__, r"^\d+\.\d+\.\d+$")
        self.assertTrue(nlsh.cpu())


if __name__ == "__main__":
    unittest.main()
