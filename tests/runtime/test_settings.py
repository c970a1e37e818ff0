"""Settings: documented, checked together, secrets masked, the development secret confined to this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from customer_timeline.runtime.cli.app import build_app
from customer_timeline.runtime.settings import (
    MASK,
    Settings,
    SettingsError,
    brokers_are_local,
    database_is_local,
    load_settings,
    shown,
)

SECRET = "a-secret-of-enough-bytes"  # noqa: S105


def test_every_setting_is_documented() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_defaults_are_usable_on_this_machine() -> None:
    settings = load_settings()
    assert (settings.kafka_bootstrap, settings.touchpoints_topic, settings.topic_partitions) == (
        "127.0.0.1:9092",
        "touchpoints",
        4,
    )


def test_all_problems_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTOMER_TIMELINE_API_PORT", "many")
    monkeypatch.setenv("CUSTOMER_TIMELINE_BUSINESS_TIME_ZONE", "Europe/Atlantis")
    monkeypatch.setenv("CUSTOMER_TIMELINE_KAFKA_BOOTSTRAP", "kafka.example.com:9092")
    monkeypatch.setenv("CUSTOMER_TIMELINE_BATCH_EVENT", "5")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert set(caught.value.problems) == {
        "CUSTOMER_TIMELINE_API_PORT",
        "CUSTOMER_TIMELINE_BUSINESS_TIME_ZONE",
        "CUSTOMER_TIMELINE_BATCH_EVENT",
        "CUSTOMER_TIMELINE_IDENTITY_SECRET",
    }
    assert caught.value.problems["CUSTOMER_TIMELINE_BATCH_EVENT"] == "unknown setting"


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"kafka_bootstrap": "127.0.0.1:9092,10.0.0.7:9092"},
        {"database_url": "postgresql://u@db.example.com/x"},
        {"database_url": "host=/run/postgresql,10.1.1.1 dbname=x"},
    ],
)
def test_the_development_secret_is_refused_where_a_server_is_on_another_machine(elsewhere: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="IDENTITY_SECRET: it is not set"):
        load_settings(**elsewhere)
    assert load_settings(**elsewhere, identity_secret=SECRET).identity_secret.get_secret_value() == SECRET


@pytest.mark.parametrize("url", ["postgresql:///x", "host=/tmp dbname=x", "postgresql://u@[::1]:5432/x", "dbname=x"])
def test_unix_sockets_and_loopback_are_this_machine(url: str) -> None:
    assert database_is_local(url)


def test_a_name_that_may_resolve_to_anything_is_not_this_machine() -> None:
    assert brokers_are_local("localhost:9092,[::1]:9092")
    assert not brokers_are_local("localhost.example.com:9092")
    assert not brokers_are_local("0.0.0.0:9092")


def test_one_variable_about_a_kind_changes_that_kind_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTOMER_TIMELINE_IDENTITY__KINDS__EMAIL__SHARE_LIMIT", "7")
    monkeypatch.setenv("CUSTOMER_TIMELINE_IDENTITY__DEFAULT_PHONE_REGION", "DE")
    identity = load_settings().identity
    assert identity.kinds["email"].share_limit == 7
    assert identity.kinds["email"].rank == Settings().identity.kinds["email"].rank
    assert identity.kinds.keys() == Settings().identity.kinds.keys()
    assert identity.default_phone_region == "DE"


def test_a_pattern_that_is_none_is_told_with_its_variable_when_the_program_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUSTOMER_TIMELINE_IDENTITY__KINDS__EMAIL__BLOCKED_PATTERNS", '["(x"]')
    with pytest.raises(SettingsError, match=r"__EMAIL__BLOCKED_PATTERNS: '\(x' is no regular"):
        load_settings()


def test_a_value_that_cannot_be_read_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTOMER_TIMELINE_IDENTITY", "hunter2")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "identity" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_what_is_shown_masks_the_secrets_and_only_the_password_of_the_url() -> None:
    settings = load_settings(database_url="postgresql://ann:hunter2@127.0.0.1/x", identity_secret=SECRET)
    values = shown(settings)
    assert values["identity_secret"] == MASK
    assert values["database_url"] == f"user=ann password={MASK} dbname=x host=127.0.0.1"
    assert "hunter2" not in repr(settings) + json.dumps(values)


def test_config_show_prints_every_setting_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTOMER_TIMELINE_IDENTITY_SECRET", SECRET)
    monkeypatch.setenv("CUSTOMER_TIMELINE_API_WORKERS", "3")
    result = CliRunner().invoke(build_app(), ["config", "show", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.output).keys() == Settings.model_fields.keys()
    assert json.loads(result.output)["api_workers"] == 3
    assert SECRET not in result.output + CliRunner().invoke(build_app(), ["config", "show"]).output


def test_the_cache_folder_is_a_setting_like_any_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUSTOMER_TIMELINE_CACHE_DIR", str(tmp_path / "cache"))
    from customer_timeline.runtime.embedded.cache import cache_dir

    assert cache_dir() == load_settings().cache_dir == tmp_path / "cache"
    assert cache_dir().is_dir()


def test_a_threshold_of_the_stages_is_changed_by_its_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTOMER_TIMELINE_STAGES__SILENT_DAYS", "45")
    monkeypatch.setenv("CUSTOMER_TIMELINE_ALIVE__R", "0.31")
    settings = load_settings()
    assert (settings.stages.silent_days, settings.stages.churn_days, settings.alive.r) == (45, 180, 0.31)
    monkeypatch.setenv("CUSTOMER_TIMELINE_STAGES__SILENT_DAYS", "1")
    with pytest.raises(SettingsError, match="CUSTOMER_TIMELINE_STAGES__SILENT_DAYS"):
        load_settings()
