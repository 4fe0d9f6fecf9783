# shellcheck shell=bash
# Sourced by the check scripts: files = every .c and .h of the project in the current folder,
# sorted. Ends the script when there is none: a check of nothing would always pass.
mapfile -d '' -t files < <(for folder in proto config tls engine bench tests; do
    [ ! -d "$folder" ] || find "$folder" -type f -name '*.[ch]' -print0
done | sort -z)
if [ ${#files[@]} -eq 0 ]; then
    echo "$(basename "$0" .sh): no .c or .h files found in $PWD" >&2
    exit 1
fi
