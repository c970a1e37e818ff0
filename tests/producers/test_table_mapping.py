"""A mapping is checked whole, before any row is read, and every problem says where and what there is instead."""

from __future__ import annotations

import io

import pytest
from published_log import CODEC
from table_import import mapping_of

from customer_timeline.producers.tables.errors import InvalidMapping
from customer_timeline.producers.tables.mapping import parse_mapping
from customer_timeline.producers.tables.opening import open_table
from customer_timeline.producers.tables.targets import problems_with
from customer_timeline.producers.tables.templates import parse_template

CSV = 'format = "csv"'
VIEWED = """
type = "page.viewed.v1"
id = "{id}"
time = { column = "at" }
identifiers = [{ kind = "email", value = "{email}" }]
"""
GOOD = VIEWED + 'fields.channel = "web"\nfields.url = "{url}"'


def problems(*events: str, source: str = CSV) -> list[str]:
    try:
        return problems_with(mapping_of(source, *events), CODEC)
    except InvalidMapping as error:
        return list(error.problems)


def test_a_good_mapping_has_no_problem() -> None:
    assert problems(GOOD) == []


def test_all_mistakes_of_the_file_are_told_at_once() -> None:
    found = problems(
        """
        type = "page.viewed.v1"
        id = "always the same"
        time = { column = "at", formats = ["%d.%m.%Y"], zoen = "UTC" }
        when = { column = "x", filled = true, equals = "y" }
        identifiers = [{ kind = "email", value = "{email" }]
        fields = { channel = 1.5, url = { column = "url", as = "link" } }
        """,
        source='format = "columns"\ndelimiter = ";"\nencoding = "utf-99"\nzone = "Mars"',
    )

    assert [problem.split(": ")[0] for problem in found] == [
        "source.encoding",
        "source.zone",
        "event 1, id",
        "event 1, when[1]",
        "event 1, time.zoen",
        "event 1, identifiers[1].value",
        "event 1, fields.channel",
        "event 1, fields.url",
    ]
    assert "event 1, time.zoen: there is no such key." in found


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ('format = "columns"\ndelimiter = ";"', "delimiter means nothing for columns, only for csv"),
        ('format = "parquet"\nencoding = "utf-8"', "encoding means nothing for parquet"),
        ('format = "csv"\nheader = false', "without a header the names of the columns have to be given"),
        ('format = "excel"', "Input should be 'csv', 'columns', 'jsonl' or 'parquet'"),
    ],
)
def test_options_that_do_nothing_are_mistakes(source: str, told: str) -> None:
    assert any(told in problem for problem in problems(GOOD, source=source))


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (GOOD.replace("page.viewed", "page.veiwed"), "type: there is no page.veiwed.v1; there is page.viewed.v1."),
        (GOOD.replace("url =", "ulr ="), "fields.ulr: page.viewed.v1 has no such field; there is url."),
        (GOOD.replace("url =", "ulr ="), "fields.url: page.viewed.v1 needs it."),
        (GOOD.replace('"web"', '"wep"'), "fields.channel: there is no channel wep"),
        (GOOD.replace('"email",', '"mail",'), "identifiers[1].kind: there is no kind mail"),
        (GOOD + "\nfields.dwell_ms = '{ms}'", 'dwell_ms: it takes a whole number: as = "integer".'),
        (GOOD + "\nfields.staff = '{agent}'", "fields.staff: it takes a group of fields: name one, such as staff.id."),
        (GOOD + "\nfields.staff.team = '{agent}'", "fields.staff.id: page.viewed.v1 needs it."),
        (GOOD + "\nfields.intent = 'profit'", "fields.intent: profit is none of nurture, win_back, retention."),
        (GOOD + "\nfields.identifiers = 'x'", "whom the event concerns is said under identifiers"),
        (GOOD.replace("identifiers =", "# "), "event 1: it says nowhere whom it concerns: identifiers."),
    ],
)
def test_what_no_row_could_mend_is_found_before_reading(event: str, told: str) -> None:
    assert any(told in problem for problem in problems(event)), problems(event)


def test_columns_that_are_not_there_are_found_before_reading_with_those_that_are() -> None:
    mapping = mapping_of(CSV, GOOD)

    with pytest.raises(InvalidMapping) as caught:
        open_table(io.BytesIO(b"id,At,mail,url,url\n"), mapping)

    assert caught.value.problems == (
        "event 1, time: there is no column at; there are id, At, mail, url, url.",
        "event 1, identifiers: there is no column email; there is mail.",
        "event 1, fields.url: there are 2 columns url; `columns` in source gives them other names.",
    )


@pytest.mark.parametrize(
    ("id_", "told"),
    [
        ("order", "all rows would give one event"),
        ("{#}", "numbers of rows need a text before them"),
    ],
)
def test_an_id_names_one_row_of_one_table(id_: str, told: str) -> None:
    assert any(told in problem for problem in problems(GOOD.replace("{id}", id_)))
    assert problems(GOOD.replace("{id}", "orders-2019-{#}")) == []


def test_a_date_needs_a_time_of_day() -> None:
    found = problems(GOOD.replace('"at"', '"at", formats = ["%d.%m.%Y"]'))

    assert found == [
        'event 1, time: a date is no instant: at = "12:00", for instance, says which time of that day is meant.'
    ]


def test_a_file_that_is_no_toml_says_where() -> None:
    with pytest.raises(InvalidMapping, match=r"It is no TOML: .*line 1"):
        parse_mapping("source =\n")


def test_a_template_alternates_texts_and_columns() -> None:
    assert parse_template("a{b}{{c}}{#}") == (("a", "{c}", ""), ("b", "#"))
    with pytest.raises(ValueError, match=r"a single \{"):
        parse_template("a{b")
