#!/bin/bash
# Stops the local cloud of an earlier step and prints the end of its log.
#
# In: AWS_ENDPOINT_URL, which start.sh exported, and RUNNER_TEMP.
set -euo pipefail

place=$RUNNER_TEMP/localcloud
"$place/venv/bin/localcloud" stop --endpoint-url "$AWS_ENDPOINT_URL"
tail -n 50 "$place/localcloud.log"
