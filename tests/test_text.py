"""Text that leaves the program shows no credentials and does nothing to a terminal or a spreadsheet."""

from __future__ import annotations

from pathlib import Path

import pytest

import pipeline
from pipeline.sweeps import forms
from pipeline.text import cell, comma_separated, harmless, hidden

ADDRESSES = [
    "postgresql://me:SECRET@host/db",
    "postgresql+psycopg2://me:SECRET@host:5432/db",
    "postgresql://me:SE:CRET@host/db",
    "postgresql://me:SE@CRET@host/db",
    "postgresql://me:SE/CRET@host/db",
    "postgresql://me:SE%40CRET@host/db",
    "mysql+pymysql://me:SECRET@[::1]:3306/db?charset=utf8",
    "postgresql:///db?host=/tmp&user=me&password=SECRET",
    "postgresql://host/db?sslpassword=SECRET&sslmode=require",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3DODBC%3BUID%3Dme%3BPWD%3DSECRET%3BDATABASE%3Ddb",
    "http://me:SECRET@host:5000",
    "https://me:SECRET@host/a@b",
    "https://SECRET@host/mlflow",
    "https://host/mlflow?token=SECRET",
    "https://host/?access_key=SECRET#part",
    "s3://KEY:SECRET@bucket/path",
    "postgresql:/me:SECRET@host/db",
    "https:/host/x.csv?sig=SECRET",
    "tracking.uri=http\\://me\\:SECRET@127.0.0.1\\:1",
    "host=h pw=SECRET",
    "tracking.uri=postgresql://me:SECRET@host/db",
    "Authorization: Bearer SECRETSECRET",
    "Authorization: Basic SECRET",
    "https://host/x#access_token=SECRET",
    "https://host/x?X-Amz-Signature=SECRET&X-Amz-Credential=SECRET",
    "https://host/c?sig=SECRET&se=2024",
    "https://host/x?%70assword=SECRET",
    "https://host/x?key=SECRET;jsessionid=SECRET",
    "https://host/?state=x&code=SECRET",
    "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=SECRET==;EndpointSuffix=x",
    "host=h password='SECRET SECRET' dbname=x",
    "Driver={x};Uid=me;Pwd={SECRET;SECRET};Server=h",
    "jdbc:oracle:thin:me/SECRET@host:1521/x",
    "//me:SECRET@host/x",
    "me:SECRET@host:5432/db",
    "ghp_SECRET" + 30 * "a",
    "-----BEGIN RSA PRIVATE KEY----- SECRET -----END",
]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("around", ["{}", "error: tracking.uri = {}: refuses; mend it", '{{"uri": "{}", "experiment": "a"}}'])
def test_no_form_of_address_shows_its_secret(address: str, around: str) -> None:
    shown = hidden(around.format(address))
    assert "SECRET" not in shown and "CRET" not in shown and "***" in shown
    assert hidden(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:5000/#/experiments/1/runs/ab?workflowType=machine_learning",
        "http://host:5000/a@b",
        "sqlite:////home/me/mlflow.db",
        "sqlite:///a@b:c@d.db",
        "me@host.org",
        "optimizer.learning_rate=0.1 seed=3",
        "postgresql://me@host/db",
        "file:///tmp/a:b@c",
        "http://127.0.0.1:5000/#/experiments/1?viewStateShareKey=ab&workflowType=machine_learning",
        "postgresql://me@host/db?user=me&sslmode=require",
        "basic statistics of it",
        "SELECT a FROM t WHERE word='x'",
        "10:30 me@host.org, ratio 3:4@5",
        "s3://bucket/key=5/x?versionId=7",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert hidden(text) == text


def test_control_sequences_are_written_out() -> None:
    assert harmless("\x1b[2Jcat\x07\x9b31m\r\u202e") == "\\x1b[2Jcat\\x07\\x9b31m\\x0d\\x202e"
    assert harmless("a\tb\nc é 猫") == "a\tb\nc é 猫"


def test_formulas_are_text_and_numbers_stay_numbers() -> None:
    assert [cell(value) for value in ("=cmd|' /C calc'!A0", "+1+2", "@SUM(A1)", "-x", "\tx")] == [
        "'=cmd|' /C calc'!A0",
        "'+1+2",
        "'@SUM(A1)",
        "'-x",
        "'\tx",
    ]
    assert [cell(value) for value in ("cat", "-0.5", "+1e3", -0.5, 3, "")] == ["cat", "-0.5", "+1e3", -0.5, 3, ""]


def test_the_wide_signs_and_line_ends_begin_no_formula_either() -> None:
    assert [cell(value) for value in ("＝cmd|x", "＋1", "\n=1")] == ["'＝cmd|x", "'＋1", "'\n=1"]


def test_tables_leave_for_spreadsheets_by_one_way() -> None:
    assert comma_separated([("name", "value"), ("=HYPERLINK(0)", -0.5), ("a,b", "x\x1b[2J")]) == (
        'name,value\n\'=HYPERLINK(0),-0.5\n"a,b",x\\x1b[2J\n'
    )
    writers = [path for path in Path(pipeline.__file__).parent.rglob("*.py") if "csv.writer(" in path.read_text(encoding="utf-8")]
    assert [path.name for path in writers] == ["text.py"]


def test_the_tables_of_a_sweep_hold_no_formulas() -> None:
    assert forms.comma_separated(["trial", "=cmd|x"], [["1", "@SUM(A1)"], ["2", "-0.25"]]) == "trial,'=cmd|x\n1,'@SUM(A1)\n2,-0.25\n"
