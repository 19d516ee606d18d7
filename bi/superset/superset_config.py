"""What Superset is set to: one machine, one folder, nothing but the published file to read."""

import os
from pathlib import Path

FOLDER = Path(os.environ["TOLLGATE_SUPERSET"])

SECRET_KEY = (FOLDER / "secret_key").read_text().strip()
SQLALCHEMY_DATABASE_URI = f"sqlite:///{FOLDER}/superset.db"
# To Superset every file is unsafe, DuckDB's as SQLite's. Ours is opened for reading, by its own URI.
PREVENT_UNSAFE_DB_CONNECTIONS = False
# Nothing is kept of an answer: the next one is that of the latest publication.
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
# As Superset's own, without the hosts of others: no page calls anybody but this server.
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "script-src": ["'self'", "'strict-dynamic'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
}
