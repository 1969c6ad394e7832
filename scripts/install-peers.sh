#!/bin/sh
# Installs the outside programs that the tests talk to, with apt. Asks for nothing and does nothing when all are there.
set -eu

# program:package; what is no program by where it lies
peers='
sipp:sip-tester
linphonec:linphone-cli
baresip:baresip-core
chromium:chromium
openssl:openssl
strace:strace
espeak-ng:espeak-ng
sox:sox
ffmpeg:ffmpeg
kamailio:kamailio
/usr/lib/*/kamailio/modules/tls.so:kamailio-tls-modules
svwar:sipvicious
svcrack:sipvicious
sipsak:sipsak
'

# Daemons are in a folder that is not on everybody's path.
PATH="$PATH:/usr/sbin"

missing=''
for peer in $peers; do
  case "$peer" in
    # shellcheck disable=SC2086 # a pattern
    /*) ls ${peer%%:*} >/dev/null 2>&1 || missing="$missing ${peer#*:}" ;;
    *) command -v "${peer%%:*}" >/dev/null 2>&1 || missing="$missing ${peer#*:}" ;;
  esac
done
if [ -z "$missing" ]; then
  echo 'All outside programs of the tests are here.'
  exit 0
fi

if ! command -v apt-get >/dev/null 2>&1; then
  echo "This script knows apt (Debian, Ubuntu) only. Install these yourself:$missing" >&2
  echo 'Tests whose programs are absent are skipped and say so.' >&2
  exit 1
fi

as_root=''
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null 2>&1; then
    echo "Run this as root, or install sudo; to be installed:$missing" >&2
    exit 1
  fi
  as_root='sudo'
fi

export DEBIAN_FRONTEND=noninteractive
# The tests start their own kamailio; the one of the package would take port 5060 of this machine.
case "$missing" in
  *kamailio*) [ ! -d /run/systemd/system ] || $as_root systemctl mask kamailio.service ;;
esac
$as_root apt-get update -q
# shellcheck disable=SC2086 # a list of words
$as_root apt-get install -y -q --no-install-recommends $missing
