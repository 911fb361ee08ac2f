#!/usr/bin/env bash
# Checks the submissions that differ from a commit: submissions/<product>/ holds bundle.zip and signer.
# Keys and challenges are those of the commit, so that a pull request cannot bring its own.
set -euo pipefail
base=$1
verify=${KMS_CONFORMANCE:-kms-conformance}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
checked=0
while IFS= read -r folder; do
  [ -f "$folder/bundle.zip" ] || { echo "$folder has no bundle.zip"; exit 1; }
  signer=$(cat "$folder/signer")
  case $signer in *[!A-Za-z0-9-]*|"") echo "$folder/signer is no name of a key"; exit 1 ;; esac
  product=$(basename "$folder")
  git show "$base:programme/keys/$signer.pub" > "$work/key.pub" \
    || { echo "$signer is no signer that the programme knows"; exit 1; }
  git show "$base:programme/challenges/$product" > "$work/challenge" \
    || { echo "the programme has given no challenge for $product"; exit 1; }
  echo "== $product, signed by $signer"
  "$verify" verify "$folder/bundle.zip" --key "$work/key.pub" --challenge "$(cat "$work/challenge")"
  checked=$((checked + 1))
done < <(git diff --name-only --diff-filter=AM "$base" HEAD -- submissions | cut -d/ -f1-2 | sort -u)
echo "$checked submissions are as they say"
[ "$checked" -gt 0 ]
