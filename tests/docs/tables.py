"""The ten tables of docs/tables.md: each a function (folder) -> the file it writes; from what scikit-learn ships, or drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import datasets

ROWS = 160


def _frame(load: Callable[..., object], **options: object) -> pd.DataFrame:
    return load(as_frame=True, **options).frame  # type: ignore[attr-defined,no-any-return]  # a Bunch


def iris(folder: Path) -> Path:
    """Names with units in brackets, three classes in words."""
    frame = _frame(datasets.load_iris)
    frame["species"] = frame.pop("target").map(dict(enumerate(("setosa", "versicolor", "virginica"))))
    frame.to_csv(folder / "iris.csv", index=False)
    return folder / "iris.csv"


def diabetes(folder: Path) -> Path:
    """Semicolons and decimal commas, as a spreadsheet writes them in much of Europe."""
    frame = _frame(datasets.load_diabetes, scaled=False).rename(columns={"target": "progression"})
    frame["sex"] = frame["sex"].map({1.0: "f", 2.0: "m"})
    frame.to_csv(folder / "diabetes.csv", index=False, sep=";", decimal=",", float_format="%.2f")
    return folder / "diabetes.csv"


def cancer(folder: Path) -> Path:
    """A number for each row, a class M or B."""
    frame = _frame(datasets.load_breast_cancer).iloc[:, [0, 1, 2, 3, 4, 5, 6, 30]]
    frame["diagnosis"] = frame.pop("target").map({0: "M", 1: "B"})
    frame.insert(0, "id", np.random.default_rng(0).permutation(len(frame)) + 100)
    frame.to_csv(folder / "cancer.csv", index=False)
    return folder / "cancer.csv"


def wine(folder: Path) -> Path:
    """What pandas writes with its index, columns between tabs."""
    frame = _frame(datasets.load_wine).rename(columns={"target": "cultivar"})
    frame.sample(frac=1, random_state=0).to_csv(folder / "wine.tsv", sep="\t")
    return folder / "wine.tsv"


def titanic(folder: Path) -> Path:
    """Words, gaps, True and False, a unique ticket."""
    rng = np.random.default_rng(1)
    woman, grade = rng.random(ROWS) < 0.4, rng.integers(1, 4, ROWS)
    frame = pd.DataFrame(
        {
            "survived": (rng.random(ROWS) < np.where(woman, 0.85, 0.2)).astype(int),
            "pclass": grade,
            "sex": np.where(woman, "female", "male"),
            "age": np.where(rng.random(ROWS) < 0.2, np.nan, rng.normal(30, 12, ROWS).clip(1, 80).round()),
            "fare": (80 / grade * rng.lognormal(0, 0.4, ROWS)).round(4),
            "embarked": rng.choice(["S", "C", "Q", None], ROWS, p=[0.7, 0.18, 0.1, 0.02]),
            "alone": rng.random(ROWS) < 0.6,
            "ticket": [f"A/5 {number}" for number in rng.permutation(ROWS) + 2000],
        }
    )
    frame.to_csv(folder / "titanic.csv", index=False)
    return folder / "titanic.csv"


def penguins(folder: Path) -> Path:
    """NA in numbers and in words."""
    rng = np.random.default_rng(2)
    kind = rng.integers(0, 3, ROWS)
    frame = pd.DataFrame(
        {
            "species": np.array(["Adelie", "Chinstrap", "Gentoo"])[kind],
            "island": np.array(["Torgersen", "Dream", "Biscoe"])[np.where(rng.random(ROWS) < 0.8, kind, 1)],
            "bill_length_mm": (np.array([38.8, 48.8, 47.5])[kind] + rng.normal(0, 2.5, ROWS)).round(1),
            "bill_depth_mm": (np.array([18.3, 18.4, 15.0])[kind] + rng.normal(0, 1, ROWS)).round(1),
            "body_mass_g": (np.array([3700, 3733, 5076])[kind] + rng.normal(0, 400, ROWS)).round(-1),
            "sex": rng.choice(["MALE", "FEMALE", None], ROWS, p=[0.49, 0.48, 0.03]),
        }
    )
    frame.loc[[3, 70], ["bill_length_mm", "bill_depth_mm", "body_mass_g"]] = np.nan
    frame.to_csv(folder / "penguins.csv", index=False, na_rep="NA")
    return folder / "penguins.csv"


def cars(folder: Path) -> Path:
    """Columns by blanks, no line of names, ? for missing, a name in quotes: as the archive of UCI has it."""
    rng = np.random.default_rng(3)
    cylinders, power = rng.choice([4, 6, 8], ROWS), rng.integers(50, 220, ROWS)
    with (folder / "cars.data").open("w") as file:
        for row in range(ROWS):
            horses = "?" if row % 31 == 5 else f"{power[row]}.0"
            miles = 45 - 2.2 * cylinders[row] - 0.05 * power[row] + rng.normal(0, 2)
            file.write(
                f'{miles:4.1f}   {cylinders[row]}   {horses:<8} {rng.integers(1700, 5000)}.   {70 + row % 13}  1\t"maker model {row}"\n'
            )
    return folder / "cars.data"


def carbon(folder: Path) -> Path:
    """A week a row, gaps in what is measured."""
    days = pd.date_range("1990-01-06", periods=300, freq="7D")
    rng, number = np.random.default_rng(4), np.arange(300)
    season = 3 * np.sin(2 * np.pi * number / 52.18)
    frame = pd.DataFrame({"date": days, "season": season.round(3), "wind": rng.normal(5, 1, 300).round(1)})
    frame["co2"] = (355 + 0.03 * number + season + rng.normal(0, 0.3, 300)).round(1)
    frame.loc[number % 23 == 7, "co2"] = np.nan
    frame.loc[number % 19 == 3, "wind"] = np.nan
    frame.to_csv(folder / "carbon.csv", index=False)
    return folder / "carbon.csv"


def taxis(folder: Path) -> Path:
    """American dates and dollars, codes with leading zeros."""
    rng, start = np.random.default_rng(5), datetime(2019, 3, 1)
    distance = rng.lognormal(0.6, 0.7, ROWS).round(2)
    frame = pd.DataFrame(
        {
            "pickup": [(start + timedelta(minutes=int(m))).strftime("%m/%d/%Y %I:%M %p") for m in rng.integers(0, 43_200, ROWS)],
            "zone": [f"{zone:03}" for zone in rng.integers(7, 27, ROWS)],
            "distance": distance,
            "fare": [f"${value:,.2f}" for value in 3 + 2.5 * distance + rng.normal(0, 0.5, ROWS)],
            "payment": rng.choice(["credit card", "cash"], ROWS),
        }
    )
    frame.to_csv(folder / "taxis.csv", index=False)
    return folder / "taxis.csv"


def air(folder: Path) -> Path:
    """Decimal commas, -200 for missing, a date, a time with points, two delimiters at the end of each line."""
    rng, start = np.random.default_rng(6), datetime(2004, 3, 10, 18)
    with (folder / "air.csv").open("w") as file:
        file.write("Date;Time;CO(GT);NOx(GT);T;RH;;\n")
        for hour in range(ROWS):
            now = start + timedelta(hours=hour)
            carbon_, nitrogen = rng.lognormal(0.7, 0.4), rng.integers(50, 400)
            temperature = 12 + 6 * np.sin(hour / 24 * 2 * np.pi) + carbon_
            cells = [
                f"{now:%d/%m/%Y};{now:%H.%M.%S}",
                "-200" if hour % 17 == 4 else f"{carbon_:.1f}",
                "-200" if hour % 13 == 2 else str(nitrogen),
            ]
            cells += [f"{temperature:.1f}", f"{rng.normal(50, 8):.1f}", "", ""]
            file.write(";".join(cells).replace(".", ",").replace(f"{now:%H,%M,%S}", f"{now:%H.%M.%S}") + "\n")
    return folder / "air.csv"


TABLES = (iris, diabetes, cancer, wine, titanic, penguins, cars, carbon, taxis, air)
