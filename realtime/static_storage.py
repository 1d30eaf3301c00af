"""Static files with hashed names, including the imports inside ES modules."""

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage


class ModuleManifestStorage(ManifestStaticFilesStorage):
    support_js_module_import_aggregation = True
    # A module's hash depends on those of its imports, so each level of imports takes a pass. Django's 5 are too few.
    max_post_process_passes = 20
