"""Imports a bundle over the one before it: `python import_bundle.py settlement.zip`, in Superset's environment.

Superset's own `import-dashboards` brings a new dashboard, but leaves charts and datasets that are there as they were.
"""

import sys
from pathlib import Path
from zipfile import ZipFile

from flask import g
from superset.app import create_app

METADATA = "metadata.yaml"


def main(path: Path) -> None:
    with create_app().app_context():
        # Only now: these modules look for the application when they are loaded.
        from superset import security_manager
        from superset.commands.importers.v1.assets import ImportAssetsCommand
        from superset.commands.importers.v1.utils import get_contents_from_bundle

        g.user = security_manager.find_user(username="admin")
        with ZipFile(path) as bundle:
            contents = get_contents_from_bundle(bundle)
        contents[METADATA] = contents[METADATA].replace("type: Dashboard", "type: assets")
        ImportAssetsCommand(contents).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
