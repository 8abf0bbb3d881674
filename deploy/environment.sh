#!/bin/sh
# Make the environment of one package, from the lock and nothing else: what `task deploy:build`
# and the Dockerfile both run, in the project's root.
#
#     deploy/environment.sh PACKAGE FOLDER [PYTHON]
#
# The result may be moved: no path of the project or of FOLDER is in it.
set -eu
package=$1
folder=$2
python=${3:-python3}

# uv keeps the wheels of the project's own packages by their pyproject.toml: a changed module alone
# would not be noticed
members=$(uv workspace list)
refresh=$(echo "$members" | sed 's/^/--refresh-package /')

uv venv --quiet --no-project --relocatable --python "$python" "$folder"
# with the extras: what DATABASE_URL will name is not known yet
# shellcheck disable=SC2086 # one word for each option is meant
UV_PROJECT_ENVIRONMENT=$folder uv sync --quiet --frozen --no-editable --no-dev --all-extras \
    --package "$package" $refresh

site=$(echo "$folder"/lib/python3.*/site-packages)
# where a package of ours was built from is of no use elsewhere
rm -f "$site"/*/direct_url.json

# what a location would else work out when it is first loaded: a read-only server could not keep it
manifest=$(echo "$package" | tr - _).manifest
if [ -f "$site/$(echo "$manifest" | tr . /).py" ]; then
    "$folder/bin/python" -IB -m "$manifest"
fi
"$folder/bin/python" -IB -m compileall -q -j 0 -s "$folder" "$site"
