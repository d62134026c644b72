# shellcheck shell=bash
# The extension's packages, build and id. Needs common.sh; ROOT is the checkout.

EXTENSION=$ROOT/extension
EXTENSION_SOURCES=(manifest.json package-lock.json _locales icons pages schema scripts src)

# npm_ready: the packages of package-lock.json, fetched only when they changed; in CI always afresh.
npm_ready() {
  mkdir -p "$ROOT/.run"
  with_lock "$ROOT/.run/npm.lock" npm_fetch
}

npm_fetch() {
  local installed=$EXTENSION/node_modules/.package-lock.json
  if ! in_ci && [[ -e $installed && ! $EXTENSION/package-lock.json -nt $installed ]]; then
    return
  fi
  (cd "$EXTENSION" && npm ci --no-audit --no-fund)
}

# npm_has SCRIPT: package.json knows it.
npm_has() { grep -q "^ *\"$1\": *\"" "$EXTENSION/package.json"; }

# extension_build: into extension/dist, when a source is newer than the last build.
extension_build() {
  local stamp=$ROOT/.run/extension.built
  if [[ -e $EXTENSION/dist/manifest.json && -e $stamp ]] &&
    [[ -z $(cd "$EXTENSION" && find "${EXTENSION_SOURCES[@]}" -newer "$stamp" -print) ]]; then
    return
  fi
  say "building the extension"
  npm_ready || return 1
  touch "$stamp.new" # before, so that an edit during the build counts as newer
  (cd "$EXTENSION" && npm run --silent build) && mv "$stamp.new" "$stamp"
}

# extension_id: the browser makes it of the manifest's key: SHA-256 of the public key, the first 32
# hexadecimal digits, written with a to p.
extension_id() {
  local key sum=(sha256sum)
  have sha256sum || sum=(shasum -a 256)
  key=$(sed -n 's/^ *"key": *"\([^"]*\)".*/\1/p' "$EXTENSION/manifest.json") && [[ -n $key ]] || return 1
  printf %s "$key" | base64 -d | "${sum[@]}" | cut -c1-32 | tr 0-9a-f a-p
}
