#!/bin/sh
# Installs Debian packages for the tests without leaving a service behind. Runs as root.
# usage: install-debian-packages.sh PACKAGE...     ("a|b": a where there is one, else b)
set -eu

export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
made_policy=no

# While this file says 101, no package may start a service (Debian policy, invoke-rc.d). Images of
# containers often have one already; theirs stays.
clean_up() {
  if [ "$made_policy" = yes ]; then rm -f "$policy"; fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if [ ! -e "$policy" ]; then
  made_policy=yes
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

# A third-party source that does not answer must not stop us: the packages are Debian's own.
apt-get update -q || echo "apt-get update reported errors; going on with the lists there are" >&2
chosen=
for package in "$@"; do
  if ! apt-cache show "${package%%|*}" >/dev/null 2>&1; then package=${package#*|}; fi
  chosen="$chosen ${package%%|*}"
done
# Names of packages have no spaces.
# shellcheck disable=SC2086
if ! apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 $chosen; then
  echo "apt-get install failed; finishing what was unpacked" >&2
  dpkg --configure -a || true
  exit 1
fi

# The tests start their own Redis on a free port; a second one at the next boot is nobody's wish.
for package in "$@"; do
  if [ "$package" = redis-server ] && command -v systemctl >/dev/null; then
    systemctl disable --quiet redis-server 2>/dev/null || true
  fi
done
