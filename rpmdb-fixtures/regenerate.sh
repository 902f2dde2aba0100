#!/bin/bash
# regenerate.sh : remakes every database here and its expected.json, as root on Debian 12.
# Needs: rpm, mmdebstrap, db5.3-util, python3, gpg, node. Chroots with other rpm versions are kept in $CHROOTS.
set -eu
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
chroots=${CHROOTS:-/var/tmp/rpm-chroots}
rpms=$work/rpms

build() { # build SPEC ARGS... : binary packages, the same on every day
  SOURCE_DATE_EPOCH=1704200000 rpmbuild --quiet -bb --define "_topdir $work/build" --define "_rpmdir $rpms" \
    --define '_rpmfilename %%{NAME}-%%{VERSION}.%%{ARCH}.rpm' --define '_buildhost fixture' \
    --define 'use_source_date_epoch_as_buildtime 1' --define 'clamp_mtime_to_source_date_epoch 1' \
    --define '_binary_payload w1.gzdio' --define '_invalid_encoding_terminates_build 0' \
    --define '_buildshell /bin/bash' "${@:2}" "$here/specs/$1.spec"
}
build_all() {
  build odd; build thief; build long; build relations
  build kernel --define 'kver 6.1'
  build kernel --define 'kver 6.2' --define '_binary_filedigest_algorithm 1'
  build multi --target x86_64 --define 'libdir lib64' --define 'class 2' --define 'machine 76'
  build multi --target i686 --define 'libdir lib' --define 'class 1' --define 'machine 3'
  gpg --batch --quiet --homedir "$(mkdir -pm700 "$work/gpg"; echo "$work/gpg")" --passphrase '' \
    --quick-generate-key 'Fixture <fixture@example.com>' rsa2048 sign never
  gpg --batch --homedir "$work/gpg" --armor --export > "$rpms/key.asc"
}

rpm_in() { # rpm_in SUITE ARGS... : that suite's rpm; /work of a chroot is $work
  if [ "$1" = bookworm ]; then rpm "${@:2}"; return; fi
  local chroot=$chroots/$1
  if [ ! -x "$chroot/usr/bin/rpm" ]; then
    mkdir -p "$chroots"
    mmdebstrap --mode=root --variant=minbase --include=rpm --aptopt='APT::Install-Recommends "false"' "$1" "$chroot" \
      "deb $(apt-get indextargets --format '$(REPO_URI)' | grep -m1 -v security) $1 main"
  fi
  mkdir -p "$chroot$work"; mount --bind "$work" "$chroot$work"
  local status=0; chroot "$chroot" rpm "${@:2}" || status=$?
  umount "$chroot$work"; return $status
}
install_all() { # install_all SUITE BACKEND DBPATH : in an order that leaves gaps, replaced and skipped files
  local db=$3 real="-i --nodeps --noscripts --notriggers --noplugins --nosignature --ignoresize --ignorearch --ignoreos"
  local i="$real --justdb"
  run() { rpm_in "$suite" --define "_db_backend $backend" --root "$root" --dbpath "$db" "$@" 2>> "$work/rpm.log"; }
  suite=$1 backend=$2 root=$work/root-$1-$2; mkdir -p "$root"
  run $i "$rpms"/odd-erased-*.rpm "$rpms"/odd-epoch-*.rpm "$rpms"/odd-many-*.rpm
  run -e --justdb --nodeps odd-erased
  run $i "$rpms"/odd-1.0.noarch.rpm "$rpms"/odd-latin1-*.rpm "$rpms"/odd-empty-*.rpm "$rpms"/long-*.rpm "$rpms"/relations-*.rpm
  # File states come from a real installation only.
  run $real --excludedocs --define '_netsharedpath /usr/share/netshared' "$rpms"/odd-states-*.rpm
  run $real --replacefiles "$rpms"/thief-*.rpm
  run $i "$rpms"/kernel-core-6.1*.rpm; run $i "$rpms"/kernel-core-6.2*.rpm
  run $real --define '_transaction_color 3' --define '_prefer_color 2' "$rpms"/libmulti-*.rpm
  run --import "$rpms/key.asc"
}
save() { # save CASE DATABASE... : the files, and what rpm itself reads of them (bookworm's rpm has no ndb)
  local case=$1 suite=bookworm; shift
  rm -rf "${here:?}/$case"; mkdir -p "$here/$case" "$work/read"; cp "$@" "$here/$case"
  rm -rf "$work/read"; cp -r "$here/$case" "$work/read"
  [ -f "$work/read/Packages.db" ] && suite=trixie
  rpm_in $suite --dbpath "$work/read" -qa --qf "$(cat "$here/expected.qf")" 2>> "$work/rpm.log" |
    node "$here/expected.mjs" > "$here/$case/expected.json"
}

make_sqlite() {
  install_all bookworm sqlite /db; local db=$work/root-bookworm-sqlite/db
  save bookworm-sqlite "$db/rpmdb.sqlite"
  # A reader that stays keeps the log from being written back: the last packages are only there.
  python3 - "$db/rpmdb.sqlite" "$work/stop" <<'PY' &
import os, sqlite3, sys, time
reader = sqlite3.connect(sys.argv[1], isolation_level=None)
reader.execute('BEGIN'); reader.execute('SELECT count(*) FROM Packages').fetchall()
while not os.path.exists(sys.argv[2]): time.sleep(.1)
PY
  sleep 1
  rpm --root "$work/root-bookworm-sqlite" --dbpath /db -i --justdb --nodeps --noplugins --nosignature "$rpms"/odd-erased-*.rpm
  rpm --root "$work/root-bookworm-sqlite" --dbpath /db -e --justdb --nodeps odd-many
  save bookworm-sqlite-wal "$db/rpmdb.sqlite" "$db/rpmdb.sqlite-wal"
  touch "$work/stop"; wait
}
make_ndb() {
  install_all trixie ndb /db
  save trixie-ndb "$work/root-trixie-ndb/db/Packages.db"
}
make_bdb() { # and the same records in other byte order and page sizes
  install_all bullseye bdb /db; local db=$work/root-bullseye-bdb/db
  save bullseye-bdb "$db/Packages"
  db5.3_dump "$db/Packages" | sed '/^db_pagesize=/d' > "$work/dump"
  for variant in bigendian:db_lorder=4321 512:db_pagesize=512 64k:db_pagesize=65536; do
    mkdir -p "$work/bdb-$variant"
    db5.3_load -c "${variant#*:}" -t hash "$work/bdb-$variant/Packages" < "$work/dump"
    save "bullseye-bdb-${variant%%:*}" "$work/bdb-$variant/Packages"
  done
}

make_series() { # series/rpmdb/N.sqlite : five builds of a system, as `layout simulate` reads them
  local db=$work/series/db source changes bytes entries build version
  mkdir -p "$here/series/rpmdb"; rm -f "$here"/series/rpmdb/*
  for build in 1 2 3 4 5; do
    # Source, builds in which it is new, bytes, changelog entries.
    while read -r source changes bytes entries; do
      case $build$changes in [2-5]*"$build"* | 1*) ;; *) continue ;; esac
      version=$build
      build series --define "src $source" --define "ver $version" --define "bytes $bytes" --define "entries $entries"
      rpm --root "$work/series" --dbpath /db -U --justdb --nodeps --noplugins --nosignature \
        "$rpms/$source-$version.noarch.rpm" "$rpms/$source-libs-$version.noarch.rpm" 2>> "$work/rpm.log"
    done <<'SOURCES'
kernel 2345 90000000 40
vim 235 2000000 50
systemd 24 20000000 40
glibc 4 30000000 12
bash 3 7000000 4
coreutils - 9000000 5
firmware 3 150000000 8
tzdata - 400000 3
SOURCES
    # Small pages: most of rpm's index tables hold little.
    python3 - "$db/rpmdb.sqlite" "$here/series/rpmdb/$build.sqlite" <<'PY'
import sqlite3, sys
source, target = sqlite3.connect(sys.argv[1]), sqlite3.connect(sys.argv[2])
target.execute('PRAGMA page_size = 512')
target.executescript('\n'.join(source.iterdump()))
PY
  done
}

cases=${*:-sqlite ndb bdb series sample}
build_all
for case in $cases; do
  case $case in
    sample) if [ -x "$here/sample/regenerate.sh" ]; then "$here/sample/regenerate.sh"; fi ;;
    *) "make_$case" ;;
  esac
done
