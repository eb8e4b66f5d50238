"""The example runs, on the first images of Fashion-MNIST."""

import os
import subprocess
import sys
import unittest
import xml.dom.minidom

from support import Folder

EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/confusion.py")
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


if __name__ == "__main__":
    unittest.main()
