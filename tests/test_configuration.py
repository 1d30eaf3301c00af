"""docs/configuration.md is generated from the tables of settings, and checked in."""

from tools import configuration


def test_docs_configuration_md_is_current():
    assert configuration.PATH.read_text() == configuration.text(), "run `make contract`"


def test_an_outdated_file_is_found_and_written_anew(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(configuration, "PATH", tmp_path / "configuration.md")
    assert configuration.main(["--check"]) == 1
    assert "make contract" in capsys.readouterr().err
    assert configuration.main([]) == 0
    assert configuration.main(["--check"]) == 0
