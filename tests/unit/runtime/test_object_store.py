"""The settings of the S3 server."""

import pytest

from gridpulse_runtime.object_store import ObjectStoreSettings, file_system


def test_keys_and_their_absence(capsys: pytest.CaptureFixture[str]) -> None:
    assert ObjectStoreSettings(s3_access_key="me", s3_secret_key="secret").credentials() == ("me", "secret")  # noqa: S106
    for settings, missing in (
        (ObjectStoreSettings(s3_access_key="", s3_secret_key="secret"), "GRIDPULSE_S3_ACCESS_KEY"),  # noqa: S106
        (ObjectStoreSettings(s3_access_key="me", s3_secret_key=None), "GRIDPULSE_S3_SECRET_KEY"),
    ):
        with pytest.raises(SystemExit) as raised:
            file_system(settings)
        assert raised.value.code == 2
        told = capsys.readouterr().err
        assert missing in told
        assert "secret" not in told.removeprefix(missing)
