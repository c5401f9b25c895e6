"""The small real data sets that ship with scikit-learn: digits, breast_cancer, wine, iris, diabetes.

The files are read by NumPy from the folder of the installed package, without importing it: on two cores `import sklearn.datasets`
takes 2.3 s (SciPy included) and reading the digits file 0.02 s, and the default run is meant to be quick. A test compares all five
with what scikit-learn's own loaders give.
"""

# N rows, F features
from __future__ import annotations

import gzip
import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.dataset import Raw
from pipeline.data.settings import Data
from pipeline.errors import DataError

_BREAST_CANCER_MEASURES = (
    "radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points", "symmetry", "fractal dimension",
)  # fmt: skip
_BREAST_CANCER = tuple(pattern.format(measure) for pattern in ("mean {}", "{} error", "worst {}") for measure in _BREAST_CANCER_MEASURES)
_WINE = (
    "alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids", "nonflavanoid_phenols",
    "proanthocyanins", "color_intensity", "hue", "od280/od315_of_diluted_wines", "proline",
)  # fmt: skip
_IRIS = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
_DIABETES = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


def digits(config: Data) -> Raw:
    """1,797 handwritten digits: float32 [N, 8, 8, 1] with values 0 to 16, 10 classes (Alpaydin & Kaynak 1998)."""
    rows = np.loadtxt(_open(config, "digits.csv.gz"), delimiter=",", dtype=np.float32)
    x, y = rows[:, :-1].reshape(-1, 8, 8, 1), rows[:, -1].astype(np.int32)
    return Raw(x=x, y=y, task="classification", class_names=tuple("0123456789"))


def breast_cancer(config: Data) -> Raw:
    """569 biopsies: float64 [N, 30], classes malignant and benign (Street, Wolberg & Mangasarian 1993)."""
    return _classes(config, "breast_cancer.csv", _BREAST_CANCER)


def wine(config: Data) -> Raw:
    """178 wines: float64 [N, 13], 3 classes (Forina et al. 1991)."""
    return _classes(config, "wine_data.csv", _WINE)


def iris(config: Data) -> Raw:
    """150 flowers: float64 [N, 4], 3 classes (Fisher 1936)."""
    return _classes(config, "iris.csv", _IRIS)


def diabetes(config: Data) -> Raw:
    """442 patients: float64 [N, 10] -> progression after a year [N, 1] (Efron et al. 2004).

    In the original units: the usual scaled form has seen the mean and deviation of the test rows.
    """
    x = np.loadtxt(_open(config, "diabetes_data_raw.csv.gz"))
    y = np.loadtxt(_open(config, "diabetes_target.csv.gz"))
    return Raw(x=x, y=y[:, None], task="regression", feature_names=_DIABETES)


def _classes(config: Data, name: str, feature_names: tuple[str, ...]) -> Raw:
    """A file whose first line is `N, F, class names` and whose last column is the class."""
    file = _open(config, name)
    class_names = tuple(file.readline().strip().split(",")[2:])
    rows: npt.NDArray[Any] = np.loadtxt(file, delimiter=",")
    y = rows[:, -1].astype(np.int32)
    return Raw(x=rows[:, :-1].copy(), y=y, task="classification", class_names=class_names, feature_names=feature_names)


def _open(config: Data, name: str) -> io.StringIO:
    spec = importlib.util.find_spec("sklearn")  # of a top-level package: finds the folder, imports nothing
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders:
        raise DataError(f"data.kind = {config.kind}: its file ships with scikit-learn, which is not installed; pip install scikit-learn")
    path = Path(folders[0], "datasets", "data", name)
    try:
        content = path.read_bytes()
        return io.StringIO((gzip.decompress(content) if name.endswith(".gz") else content).decode())
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"data.kind = {config.kind}: {path} cannot be read; reinstall scikit-learn") from error
