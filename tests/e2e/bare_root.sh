#!/usr/bin/env bash
# The end-to-end test of deploy/up in a bare Debian 12: a root made by debootstrap, without compiler
# and Postgres, in namespaces of its own, so that nothing of it is left when this ends.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/deploy/packages.sh"

skip() { echo "skipped: $1"; exit 77; }

[ "$(id -u)" = 0 ] || skip 'a bare root needs root rights'
unshare --mount --pid --fork true 2>/dev/null || skip 'this machine lets root make no namespaces'
# shellcheck disable=SC2016 # apt-get fills these in
mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 == "bookworm" { print $2; exit }')
[ -n "$mirror" ] || skip "this machine's apt knows no mirror of Debian 12"
install_packages debootstrap || skip 'debootstrap cannot be installed'

bare=$(mktemp -d /tmp/telehub-bare.XXXXXX)
trap 'rm -rf --one-file-system "$bare"' EXIT
chmod 0755 "$bare"

proxy=''
eval "$(apt-config shell proxy Acquire::http::Proxy)"
[ -z "$proxy" ] || export http_proxy=$proxy
if ! debootstrap --variant=minbase --include=ca-certificates bookworm "$bare" "$mirror" \
    >"$bare.log" 2>&1; then
    tail -n 20 "$bare.log"
    mv "$bare.log" "$bare/" # goes with it
    ! grep -qE 'Failed getting release file|Couldn.t download' "$bare/${bare##*/}.log" ||
        skip 'the mirror cannot be reached'
    exit 1
fi
rm "$bare.log"
echo "the bare root stands after $SECONDS s"

# How this machine reaches its mirrors; of apt's settings, those alone.
rm -f "$bare/etc/apt/sources.list"
for part in sources.list sources.list.d auth.conf.d preferences.d keyrings trusted.gpg.d; do
    [ ! -e "/etc/apt/$part" ] || cp -rL "/etc/apt/$part" "$bare/etc/apt/"
done
cp -rnL /usr/share/keyrings/. "$bare/usr/share/keyrings/"
apt-config dump Acquire --format '%f "%v";%n' | grep -v ' "";$' >"$bare/etc/apt/apt.conf.d/90acquire" ||
    true
for part in /usr/local/share/ca-certificates /etc/resolv.conf /etc/hosts; do
    [ ! -e "$part" ] || { mkdir -p "$bare${part%/*}" && cp -rL "$part" "$bare${part%/*}/"; }
done
chroot "$bare" update-ca-certificates >/dev/null 2>&1

mkdir "$bare/src"
(cd "$root" && git ls-files -z | tar -c --null -T -) | tar -xC "$bare/src"

for program in gcc cc cmake initdb psql curl jq; do
    ! chroot "$bare" /bin/sh -c "command -v $program" >/dev/null ||
        { echo "the bare root has $program"; exit 1; }
done

# shellcheck disable=SC2016 # the inner shell expands these
timeout 1200 unshare --mount --pid --fork --kill-child sh -euc '
    mount --make-rprivate /
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
        /src/tests/e2e/up_test.sh' sh "$bare"
echo "all of it took $SECONDS s"
