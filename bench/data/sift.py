#!/usr/bin/python3
"""sift.py FOLDER: SIFT-1M (Debian photographs), the data set of docs/results.md that is called so. `./dev data sift` calls it.

1,000,000 base and 10,000 query vectors: SIFT descriptors (128 bytes each) of some 650 photographs that Debian 12's packages
ship. It has the shape of TEXMEX's SIFT1M and is not that set: the queries come from other photographs than the base. Also
siftsmall: 10,000 and 100 of them. The packages are fetched with apt-get download and unpacked, not installed.

  FOLDER/sift_base.bvecs, sift_query.bvecs               SIFT-1M
  FOLDER/siftsmall_base.fvecs, siftsmall_query.fvecs     siftsmall
  FOLDER/images.tsv                                      which photographs, and what they play

The same packages give the same bytes. Needs python3-opencv; half an hour on one core, 1.5 GB of disk, 5 GB of memory.
The photographs have many licences: what is made of them is for measuring, not for passing on.
"""
import csv
import glob
import hashlib
import os
import re
import subprocess
import sys

import cv2
import numpy as np

SEED = 20240601
N_BASE, N_QUERY, N_LEARN = 1_000_000, 10_000, 100_000  # learn: left aside, as TEXMEX's set has such vectors
MOST_PIXELS = 1440 * 768  # larger photographs are made smaller
MOST_OF_ONE = 4000  # descriptors of one photograph
CONTRAST = 0.04  # of SIFT: OpenCV's default

# package: what a photograph's path in it looks like, and names that look so but are drawings, charts, boards to calibrate
# cameras with, or copies.
LANDSCAPES = (r"images/(land|scene)/[^/]+\.jpg$",
              r"^(disease|patir|emptydock|eavine|ringworld|sheragi|pug|quarg)")
PACKAGES = {
    "endless-sky-high-dpi": LANDSCAPES,
    "endless-sky-data": LANDSCAPES,
    "krank": (r"unera-backgrounds/[^/]+\.jpg$", None),
    "lomiri-wallpapers-16.04": (r"backgrounds/[^/]+\.jpg$", r"^(analogpattern|umang)"),
    "lomiri-wallpapers-20.04": (r"backgrounds/Kleiber.*\.jpg$", None),
    "mate-backgrounds": (r"mate/nature/[^/]+\.jpg$", None),
    "mate-screensaver-common": (r"\.jpg$", None),
    "lxqt-themes": (r"lxqt/wallpapers/(flowers\.png|fog\.jpg|after-the-rain\.jpg|Butterfly-Kenneth-Wimer\.jpg|beam\.png"
                    r"|Valendas\.png|appleflower\.png|cloud\.png|drop\.png|butterfly\.png|this-is-not-windows\.jpg)$",
                    None),
    "plasma-workspace-wallpapers": (r"wallpapers/(BytheWater|ColdRipple|ColorfulCups|DarkestHour|EveningGlow|FallenLeaf"
                                    r"|Grey|Kite|OneStandsOut|Path|summer_1am)/contents/images/[^/]+\.(jpg|png)$", None),
    "forensics-samples-files": (r"original-files/pic[12]/[^/]+\.(jpg|JPG|jpeg)$", None),
    "palapeli-data": (r"palapeli/collection/[^/]+\.jpg$", r"^puzzletable"),
    "liblemonldap-ng-portal-perl": (r"common/backgrounds/[^/]+\.(jpg|png)$", None),
    "kphotoalbum": (r"share/kphotoalbum/demo/[^/]+\.jpg$", r"^qt-logo"),
    "scratch": (r"Media/Backgrounds/[^/]+/[^/]+\.(jpg|JPG|png)$",
                r"^(spotlight|room1|woods-and-bench|atom-playground|the-movies-inside)"),
    "libdlib19.1": (r"examples/(faces/[^/]+\.jpg|mmod_cars_test_image2?\.jpg|video_frames/frame_000200\.jpg)$",
                    r"^(bald_guys|dogs)"),
    "psychtoolbox-3-common": (r"(stims/stim\d\.jpg|PsychDemos/konijntjes1024x768\.jpg|PsychDemos/.*town\.jpg"
                              r"|TeapotTexture\.jpg)$", None),
    "opencv-doc": (r"examples/(data|text|dnn_superres|reg|hfs/data)/[^/]+\.(jpg|png)$",
                   r"^(left\d|right\d|chess|.*mask|.*gt|.*logo|imageTextN|imageTextR|H1to3p|pic\d|blox|ellipses|gradient"
                   r"|text_defocus|text_motion|rubberwhale2|squirrel_cls|templ|sudoku|notes|detect_blob|cards|digits"
                   r"|LinuxLogo|WindowsLogo)"),
    "visp-images-data": (r"ViSP-images/(Solvay/Solvay_conference_1927_Version2_1280x\d+\.jpg|Solvay/[^/]+\.(png|jpg)"
                         r"|Klimt/Klimt\.(png|jpg)|faces/[^/]+\.(png|jpg)"
                         r"|mbt-depth/castel/castel/image_0001\.(png|pgm|jpg))$", None),
    "python3-skimage": (r"skimage/data/(astronaut|brick|camera|chelsea|coffee|coins|grass|gravel|ihc|motorcycle_left"
                        r"|retina|rocket)\.(png|jpg)$", None),
    "labelme-examples": (r"(data_annotated|JPEGImages|apc2016)/[^/]*\.(jpg|jpeg)$|apc2016_obj3\.jpg$", None),
    "libjxl-testdata": (r"(jxl/flower/flower\.png|wesaturate/500px/[^/]*srgb8\.png)$", None),
    "coreboot-utils-doc": (r"_images/[^/]+\.(jpg|jpeg)$", None),
    "hackrf-doc": (r"_images/[^/]+\.(jpg|jpeg)$", None),
    "freedombox-doc-en": (r"manual/en/images/[^/]+\.jpg$", None),
    "kalzium-data": (r"kalzium/data/toolpics/[^/]+\.jpg$", None),
    "cimg-doc": (r"/img/(bird|parrot|lena|milla)[^/]*\.(ppm|jpg|png|pgm)$", None),
    "gem-doc": (r"gem/examples/data/(fractal|img\d|venus-model.*)\.(jpg|JPG)$", r"^fractal"),
    "gramps": (r"gramps/tests/.*\.jpg$|example/gramps/[^/]+\.jpg$", None),
}


def unpack(folder):
    """Each package's files under folder/PACKAGE."""
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o777)  # apt-get fetches as a user of its own
    for package in PACKAGES:
        target = os.path.join(folder, package)
        if os.path.isdir(target):
            continue
        subprocess.run(["apt-get", "-q", "download", package], cwd=folder, check=True)
        deb = glob.glob(os.path.join(folder, glob.escape(package) + "_*.deb"))[-1]
        subprocess.run(["dpkg-deb", "-x", deb, target + ".new"], check=True)
        os.rename(target + ".new", target)
        os.remove(deb)


def files(folder):
    """Paths, from the folder on, that look like those of photographs."""
    for package, (wanted, unwanted) in PACKAGES.items():
        for place, _, names in os.walk(os.path.join(folder, package)):
            for name in names:
                path = os.path.join(place, name)
                below = os.path.relpath(path, folder)
                if os.path.islink(path) or not re.search(wanted, "/" + below):
                    continue
                if not unwanted or not re.search(unwanted, name):
                    yield below


def grey(folder, path):
    return cv2.imread(os.path.join(folder, path), cv2.IMREAD_GRAYSCALE)


class Photograph:
    def __init__(self, folder, path, image):
        self.path, (self.height, self.width) = path, image.shape
        small = cv2.resize(image, (17, 16), interpolation=cv2.INTER_AREA).astype(np.int16)
        self.steps = (small[:, 1:] > small[:, :-1]).ravel()  # where it becomes lighter: alike in copies
        with open(os.path.join(folder, path), "rb") as file:
            self.hash = hashlib.sha256(file.read()).digest()

    def is_copy_of(self, other):
        return self.hash == other.hash or int((self.steps != other.steps).sum()) <= 24

    def describe(self, folder, sift):
        image = grey(folder, self.path)
        scale = min(1.0, (MOST_PIXELS / (self.width * self.height)) ** .5)
        if scale < 1:
            image = cv2.resize(image, (round(self.width * scale), round(self.height * scale)),
                               interpolation=cv2.INTER_AREA)
        points, descriptors = sift.detectAndCompute(image, None)
        if not points:
            descriptors = np.zeros((0, 128))
        self.rows = descriptors.astype(np.uint8)
        strongest = np.argsort(-np.array([p.response for p in points]), kind="stable")[:200]
        self.strong = self.rows[strongest.astype(int)]


def photographs(folder):
    """The largest copy of each, without screenshots, diagrams and cut-outs, whose greys are few."""
    found = []
    for path in sorted(files(folder)):
        image = grey(folder, path)
        if image is None or min(image.shape) < 200:
            continue
        thumb = cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA)
        shares = np.sort(np.bincount(thumb.ravel(), minlength=256) / thumb.size)
        if shares[-4:].sum() <= .40:
            found.append(Photograph(folder, path, image))
    found.sort(key=lambda p: (-p.width * p.height, p.path))
    kept = []
    for photograph in found:
        if not any(photograph.is_copy_of(other) for other in kept):
            kept.append(photograph)
    return kept


def without_same_scenes(kept):
    """Where the strongest descriptors of one are nearest to those of another, the scene is the same: the larger stays."""
    strong = np.concatenate([p.strong for p in kept]).astype(np.float32)
    of = np.repeat(np.arange(len(kept)), [len(p.strong) for p in kept])
    nearest, l2sq = np.full(len(strong), -1), np.full(len(strong), np.inf, np.float32)
    lengths = (strong ** 2).sum(1)
    for a in range(0, len(strong), 2000):
        block = slice(a, a + 2000)
        distances = lengths[block, None] + lengths[None] - 2 * (strong[block] @ strong.T)
        distances[of[block, None] == of[None]] = np.inf
        nearest[block], l2sq[block] = of[distances.argmin(1)], distances.min(1)
    alive = np.ones(len(kept), bool)
    for i, photograph in enumerate(kept):
        matches = nearest[(of == i) & (l2sq < 200.0 ** 2)]
        if len(matches) == 0:
            continue
        counts = np.bincount(matches, minlength=len(kept))
        other = int(counts.argmax())
        first, second = min(i, other), max(i, other)
        if counts[other] >= max(.15 * len(photograph.strong), 12) and alive[first] and alive[second]:
            alive[second] = False
    return [p for p, lives in zip(kept, alive) if lives]


def pooled(kept, rng):
    """All descriptors once, the photograph of each, and which are taken of each photograph."""
    rows = np.concatenate([p.rows for p in kept])
    of = np.repeat(np.arange(len(kept)), [len(p.rows) for p in kept])
    first = np.sort(np.unique(rows.view("V128").ravel(), return_index=True)[1])
    rows, of = rows[first], of[first]
    taken = []
    for i in range(len(kept)):
        mine = np.flatnonzero(of == i)
        if len(mine) > MOST_OF_ONE:
            mine = np.sort(rng.choice(mine, MOST_OF_ONE, False))
        taken.append(mine)
    return rows, taken


def cast(taken, rng):
    """Which photographs play queries (3 %), and which base; the others are learn's."""
    counts = np.array([len(t) for t in taken])
    order = rng.permutation(len(taken))
    n_query = max(12, round(.03 * len(taken)))
    spare = counts[order[n_query:]].sum() - N_BASE
    learn, n = [], 0
    for i in order[n_query:]:
        if n < N_LEARN * 1.05 and n + counts[i] <= spare:
            learn.append(i)
            n += counts[i]
        elif n >= N_LEARN:
            break
    return np.setdiff1d(np.arange(len(taken)), np.concatenate([order[:n_query], learn])), order[:n_query]


def write(path, rows):
    """fvecs or bvecs, as the rows are floats or bytes."""
    rows = np.ascontiguousarray(rows)
    out = np.empty((len(rows), 4 + rows.shape[1] * rows.itemsize), np.uint8)
    out[:, :4] = np.array([rows.shape[1]], "<i4").view(np.uint8)
    out[:, 4:] = rows.view(np.uint8)
    out.tofile(path)


def main():
    out = sys.argv[1]
    folder = os.path.join(out, "photographs")
    cv2.setNumThreads(1)
    unpack(folder)
    kept = photographs(folder)
    print(len(kept), "photographs that are no copies", flush=True)
    sift = cv2.SIFT_create(0, 3, CONTRAST, 10, 1.6)
    for photograph in kept:
        photograph.describe(folder, sift)
    kept = without_same_scenes([p for p in kept if len(p.rows) >= 50])
    kept.sort(key=lambda p: p.path)
    print(len(kept), "of different scenes", flush=True)

    rng = np.random.default_rng(SEED)
    rows, taken = pooled(kept, rng)
    of_base, of_query = cast(taken, rng)
    base = rows[rng.permutation(np.concatenate([taken[i] for i in of_base]))[:N_BASE]]
    query = rows[rng.permutation(np.concatenate([taken[i] for i in of_query]))[:N_QUERY]]
    write(os.path.join(out, "sift_base.bvecs"), base)
    write(os.path.join(out, "sift_query.bvecs"), query)

    rng = np.random.default_rng(SEED + 1)
    write(os.path.join(out, "siftsmall_base.fvecs"), base[rng.permutation(N_BASE)[:10000]].astype("<f4"))
    write(os.path.join(out, "siftsmall_query.fvecs"), query[rng.permutation(N_QUERY)[:100]].astype("<f4"))
    with open(os.path.join(out, "images.tsv"), "w") as file:
        table = csv.writer(file, "excel-tab")
        roles = {**dict.fromkeys(of_base, "base"), **dict.fromkeys(of_query, "query")}
        table.writerow(["path", "role", "width", "height", "descriptors"])
        for i, p in enumerate(kept):
            table.writerow([p.path, roles.get(i, "learn"), p.width, p.height, len(p.rows)])
    print(len(base), "base vectors,", len(query), "queries of", base.shape[1], "bytes")


if __name__ == "__main__":
    main()
