#!/usr/bin/env bash
# Apache Superset beside the project, in an environment of its own, with the dashboard of the published marts.
#
#   bi/superset/install.sh [FOLDER]    # by default superset/ in the home
#
# Needs a publication and python3 (3.10 to 3.12), whose name PYTHON may give. Asks nobody but the package index.
# Safe to repeat: after an upgrade it brings environment, metadata and dashboard up to date.
set -eEuo pipefail

python=${PYTHON:-python3}
absolute() { "$python" -c 'import os, sys; print(os.path.abspath(sys.argv[1]))' "$1"; }
here=$(absolute "$(dirname "$0")")
home=$(absolute "${TOLLGATE_HOME:-$here/../../data}")
folder=$(absolute "${1:-$home/superset}")
published=$home/published/settlement.duckdb
if [ ! -e "$published" ]; then
    echo "install.sh: $published is not there: run tollgate first" >&2
    exit 2
fi

umask 077 # what follows writes secrets
mkdir -p "$folder"
log=$folder/install.log
echo "installing into $folder, about 800 MB and some minutes; $log tells what is done"
exec 3>&2
trap 'tail -n 20 "$log" >&3' ERR

{
    [ -x "$folder/venv/bin/python" ] || "$python" -m venv "$folder/venv"
    "$folder/venv/bin/pip" --disable-pip-version-check install --requirement "$here/requirements.txt"
} > "$log" 2>&1

for secret in secret_key admin_password; do
    [ -s "$folder/$secret" ] || "$python" -c 'import secrets; print(secrets.token_urlsafe(32))' > "$folder/$secret"
done
cat > "$folder/environment" <<END
export TOLLGATE_SUPERSET='$folder' SUPERSET_CONFIG_PATH='$here/superset_config.py' FLASK_APP='superset.app:create_app()'
export PATH='$folder/venv/bin':"\$PATH"
END
cat > "$folder/start.sh" <<END
#!/usr/bin/env bash
# Superset at http://127.0.0.1:8088, or at the port that is given; Ctrl-C stops it.
. '$folder/environment'
exec gunicorn --bind "127.0.0.1:\${1:-8088}" --workers 2 --threads 8 --timeout 120 "\$FLASK_APP"
END
chmod +x "$folder/start.sh"

. "$folder/environment"
{
    superset db upgrade
    superset fab create-admin --username admin --firstname Tollgate --lastname Admin --email admin@localhost \
        --password "$(cat "$folder/admin_password")"
    superset init
    python "$here/bundle.py" "$published" "$folder/settlement.zip"
    python "$here/import_bundle.py" "$folder/settlement.zip"
} >> "$log" 2>&1

echo "start it with $folder/start.sh, and sign in as admin with what $folder/admin_password holds:"
echo "http://127.0.0.1:8088/superset/dashboard/settlement/"
