import json

from django.core.management import call_command


def test_static_files_can_be_collected_under_hashed_names(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "realtime.static_storage.ModuleManifestStorage"}
    }
    call_command("collectstatic", "--noinput", verbosity=0)
    names = json.loads((tmp_path / "staticfiles.json").read_text())["paths"]
    assert names["client/client.js"] != "client/client.js"
    for module, imported in (
        ("demo/demo.js", "demo/stage.js"),  # by `import()`, as the labels are
        ("demo/demo.js", "client/http.js"),
        ("demo/stage.js", "toast/define.js"),
        ("demo/stage.js", "bell/define.js"),
        ("elements/labels.js", "labels/en.js"),
        ("elements/labels.js", "labels/de.js"),
    ):
        assert names[imported].rsplit("/")[-1] in (tmp_path / names[module]).read_text()
