import json

from django.core.management import call_command


def test_static_files_can_be_collected_under_hashed_names(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "realtime.static_storage.ModuleManifestStorage"}
    }
    call_command("collectstatic", "--noinput", verbosity=0)
    names = json.loads((tmp_path / "staticfiles.json").read_text())["paths"]
    page = (tmp_path / names["demo/demo.js"]).read_text()
    assert names["client/client.js"] != "client/client.js"
    for imported in ("demo/stage.js", "toast/define.js", "bell/define.js", "client/http.js"):
        assert names[imported].rsplit("/")[-1] in page
