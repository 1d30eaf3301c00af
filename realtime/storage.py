"""Static files under hashed names, the imports inside ES modules included."""

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage


class ModuleManifestStorage(ManifestStaticFilesStorage):
    support_js_module_import_aggregation = True
    # A module's hash depends on those of its imports: one pass for each level of them. Django's 5 are too few.
    max_post_process_passes = 20
