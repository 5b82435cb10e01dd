#!/bin/bash
# Starts a local cloud and exports the variables of the AWS SDKs to the later steps of the job.
#
# In: VERSION (what pip installs), PORT, SPEED, INIT (a directory, or empty), RUNNER_TEMP, GITHUB_ENV, GITHUB_OUTPUT.
set -euo pipefail

place=$RUNNER_TEMP/localcloud
[ -x "$place/venv/bin/localcloud" ] || {
  python3 -m venv "$place/venv"
  "$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$VERSION"
}
options=(--port "$PORT" --speed "$SPEED" --ephemeral)
[ -z "$INIT" ] || options+=(--init "$INIT")
url=http://127.0.0.1:$PORT

# The log has a name that is known here, unlike that of `localcloud start --detach`.
nohup "$place/venv/bin/localcloud" start "${options[@]}" > "$place/localcloud.log" 2>&1 &
"$place/venv/bin/localcloud" wait --timeout 60s --endpoint-url "$url" || {
  cat "$place/localcloud.log"
  exit 1
}
{
  echo "AWS_ENDPOINT_URL=$url"
  echo "AWS_ACCESS_KEY_ID=test"
  echo "AWS_SECRET_ACCESS_KEY=test"
  echo "AWS_REGION=us-east-1"
  echo "AWS_DEFAULT_REGION=us-east-1"
} >> "$GITHUB_ENV"
echo "endpoint-url=$url" >> "$GITHUB_OUTPUT"
