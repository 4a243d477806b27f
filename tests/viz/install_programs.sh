#!/usr/bin/env bash
# What some tests of pictures need and pip does not bring: a browser with its driver, Graphviz, and a font.
# Installed where apt-get is at hand and may be used; elsewhere those tests are skipped and say so, but never in CI.
set -uo pipefail
cd "$(dirname "$0")/../.." && mkdir -p build || exit 1
missing=()
command -v chromium > /dev/null && command -v chromedriver > /dev/null || missing+=(chromium chromium-driver)
command -v dot > /dev/null || missing+=(graphviz)
[ -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] || missing+=(fonts-dejavu-core)
[ ${#missing[@]} -eq 0 ] && exit 0
if ! command -v apt-get > /dev/null || [ "$(id -u)" -ne 0 ]; then
    echo "not installed: ${missing[*]} (no apt-get, or not root); tests of pictures that need them are skipped"
    exit 0
fi
echo "installing ${missing[*]} for the tests of pictures"
export DEBIAN_FRONTEND=noninteractive
patience=(-o Acquire::Retries=1 -o Acquire::http::Timeout=20)
{ apt-get "${patience[@]}" update && apt-get "${patience[@]}" install --yes --no-install-recommends "${missing[@]}"; } > build/install_programs.log 2>&1 \
    || echo "apt-get could not install ${missing[*]}: see build/install_programs.log"
