"""The examples run: on the first images of Fashion-MNIST, and that of an index that changes."""

import os
import subprocess
import sys
import unittest
import xml.dom.minidom

import nlsh
from support import Folder

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
EXAMPLE = os.path.join(ROOT, "examples/confusion.py")
DATA = os.environ.get("NLSH_FASHION_MNIST", "/usr/share/datasets/fashion-mnist")


class Example(unittest.TestCase):
    def test_runs_and_draws(self):
        if not os.path.exists(os.path.join(DATA, "train-images-idx3-ubyte.gz")):
            self.skipTest("no Fashion-MNIST (dataset-fashion-mnist)")
        with Folder() as path_of:
            said = subprocess.run([sys.executable, os.path.abspath(EXAMPLE), DATA, "2000"], check=True,
                                  cwd=path_of(""), stdout=subprocess.PIPE, text=True).stdout
            picture = xml.dom.minidom.parse(path_of("confusion.svg"))
        self.assertEqual(len(picture.getElementsByTagName("rect")), 100)
        recall = float(said.partition("recall ")[2].split()[0])
        own = float(said.splitlines()[-1].partition("%")[0])
        self.assertGreater(recall, .8)
        self.assertGreater(own, 60)  # a tenth by chance

    @unittest.skipUnless(nlsh.can_learn(), "this package searches only")
    def test_of_the_manual_says_what_its_comments_say(self):
        with open(os.path.join(ROOT, "docs/python.md")) as file:
            code = next(c for c in file.read().split("```python\n") if "open_writer(" in c.partition("```")[0])
        with Folder() as path_of:
            said = subprocess.run([sys.executable, "-c", code.partition("```")[0]], check=True,
                                  cwd=path_of(""), stdout=subprocess.PIPE, text=True).stdout
        self.assertEqual(said.split(), ["1901", "2002", "retrained"])


if __name__ == "__main__":
    unittest.main()
