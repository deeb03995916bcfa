"""Which labels can be joined to a promoted encoder's vectors."""

from datetime import UTC, date, datetime

from jobs.promote import window_in_words

TRAINED = datetime(2026, 3, 1, tzinfo=UTC)


def test_it_begins_where_the_training_ended_if_vectors_were_readable_by_then() -> None:
    days = {date(2026, 2, 20): datetime(2026, 2, 21, 2, tzinfo=UTC), date(2026, 3, 5): datetime(2026, 3, 6, 2, tzinfo=UTC)}
    window = window_in_words(TRAINED, days)
    assert window["usable_from"] == "2026-03-01T00:00:00+00:00"
    assert (window["first_day"], window["last_day"], window["days_published"]) == ("2026-02-20", "2026-03-05", "2")


def test_it_begins_with_the_first_readable_vector_if_that_came_later() -> None:
    assert window_in_words(TRAINED, {date(2026, 3, 5): datetime(2026, 3, 6, 2, tzinfo=UTC)})["usable_from"] == "2026-03-06T02:00:00+00:00"


def test_without_a_published_day_it_says_what_to_do() -> None:
    assert "backfill" in window_in_words(TRAINED, {})["usable_from"]
