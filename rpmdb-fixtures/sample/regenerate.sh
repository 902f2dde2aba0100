#!/bin/bash
# regenerate.sh [WORKDIR]: remakes the repositories old/ and new/ beside this script. Needs root, a Debian bookworm
# with its mirrors configured in apt, and: apt-get install rpm ostree attr cpio faketime; about a minute and 1 GB in WORKDIR.
#   old = the last point release, new = the same with updates and security fixes: a real update of real packages.
# The mirror moves on, so the versions, and with them the commit ids, drift; tests must not expect particular ones.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
work=${1:-$(mktemp -d /var/tmp/ostrata-sample.XXXXXX)}
mkdir -p "$work"
export LC_ALL=C TZ=UTC

packages="base-files base-passwd bash busybox ca-certificates dash debianutils grep gzip hostname init-system-helpers
  libacl1 libattr1 libc6 libcap2 libcrypt1 libexpat1 liblzma5 libpcre2-8-0 libreadline8 libsasl2-2
  libsasl2-modules-db libselinux1 libtinfo6 mawk media-types ncurses-base readline-common sed sensible-utils tzdata
  ucf zlib1g"
only_old="libgpm2"   # removed by the update
only_new="netbase"   # added by it

# The mirrors that apt is configured with.
uris=$(apt-get indextargets --format '$(REPO_URI)' | sort -u)
main=$(grep -m1 -v security <<<"$uris")
security=$(grep -m1 security <<<"$uris")

fetch_debs() { # KIND DIR: downloads the packages of that build into DIR
  local kind=$1 dir=$2 apt names
  mkdir -p "$dir"/{state/lists/partial,cache/archives/partial,debs}
  echo "deb ${main%/} bookworm main" > "$dir/sources.list"
  if [ "$kind" = new ]; then
    echo "deb ${main%/} bookworm-updates main" >> "$dir/sources.list"
    echo "deb ${security%/} bookworm-security main" >> "$dir/sources.list"
  fi
  apt=(-qq -o "Dir::State=$dir/state" -o "Dir::State::status=/dev/null" -o "Dir::Cache=$dir/cache"
    -o "Dir::Etc::sourcelist=$dir/sources.list" -o "Dir::Etc::sourceparts=-" -o APT::Sandbox::User=root
    -o Acquire::Languages=none)
  apt-get "${apt[@]}" update
  names="$packages"
  if [ "$kind" = old ]; then names+=" $only_old"; else names+=" $only_new"; fi
  # The kernel is a versioned package: ask the metapackage which.
  names+=" $(apt-cache "${apt[@]}" depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-6[^ ]*\).*/\1/p')"
  (cd "$dir/debs" && apt-get "${apt[@]}" download $names)
}

unpack_debs() { # DIR: DIR/debs/*.deb to DIR/debs/PACKAGE/, cut down to a few MB
  local dir=$1 deb name root kver
  for deb in "$dir"/debs/*.deb; do
    name=$(dpkg-deb -f "$deb" Package)
    root=$dir/debs/$name
    dpkg-deb -R "$deb" "$root"
    rm "$deb"
    rm -rf "$root"/usr/share/{man,locale,lintian,bug,doc-base,info} "$root"/usr/lib/x86_64-linux-gnu/gconv \
      "$root"/lib/x86_64-linux-gnu/libmvec.so* \
      "$root"/usr/share/zoneinfo/{posix,right,Africa,America,Antarctica,Asia,Atlantic,Australia,Indian,Pacific}
    case $name in linux-image-*)
      # A kernel of 400 MB stands here as the head of its image and three of its real modules.
      kver=${name#linux-image-}
      truncate -s 256K "$root/boot/vmlinuz-$kver"
      truncate -s 64K "$root/boot/System.map-$kver"
      find "$root/lib/modules/$kver" -name '*.ko' ! -name loop.ko ! -name dm-verity.ko ! -name erofs.ko -delete
      find "$root/lib/modules/$kver" -type d -empty -delete
    esac
  done
}

build_rpms() { # DIR: DIR/debs/PACKAGE to DIR/rpms/*.rpm
  local dir=$1 spec seconds
  mkdir -p "$dir/rpms"
  node "$here/debs-to-specs.mjs" "$dir"
  # Changelogs are in the specs now; documentation is not part of the sample.
  while read -r spec seconds; do
    sed -i -E '/^(%config\(noreplace\) |%dir )?"?\/usr\/share\/doc/d' "$spec"
    SOURCE_DATE_EPOCH=$seconds rpmbuild -bb --quiet \
      --define "_topdir $dir/top" --define "_rpmdir $dir/rpms" --define "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm" \
      --define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1" --define "_buildhost buildd.example" \
      --define "debug_package %{nil}" --define "__os_install_post %{nil}" --define "_build_id_links none" \
      --define "_unpackaged_files_terminate_build 0" --define "_binaries_in_noarch_packages_terminate_build 0" \
      --define "_binary_payload w3.gzdio" "$spec" > "$spec.log" 2>&1 || { cat "$spec.log" >&2; exit 1; }
  done < "$dir/jobs"
}

newest() { # DIR: the build time of its newest package
  cut -d' ' -f2 "$1/jobs" | sort -n | tail -1
}

install_tree() { # DIR: DIR/rpms/*.rpm installed with rpm, in the shape of an ostree commit, in DIR/tree
  local dir=$1 tree=$1/tree link kver modules
  mkdir -p "$tree"/usr/{bin,sbin,lib,lib64,share/rpm}
  for link in bin sbin lib lib64; do ln -s "usr/$link" "$tree/$link"; done
  # INSTALLTIME is the time of the newest package instead of now: the same packages give the same commit.
  faketime -f "$(date -d "@$(newest "$dir")" '+%F %T')" \
    rpm --define '_db_backend sqlite' --root "$tree" --dbpath /usr/share/rpm -i --nodeps --noscripts --notriggers \
      --noplugins --nosignature --ignoreos --ignorearch "$dir"/rpms/*.rpm
  rm -f "$tree"/usr/share/rpm/{.rpm.lock,rpmdb.sqlite-shm,rpmdb.sqlite-wal}
  mkdir -p "$tree/usr/lib/sysimage" && ln -s ../../share/rpm "$tree/usr/lib/sysimage/rpm"
  # bash is the shell a container starts; dash's and bash's maintainer scripts would do this.
  ln -sf bash "$tree/usr/bin/sh"

  kver=$(basename "$tree"/usr/lib/modules/*)
  modules=$tree/usr/lib/modules/$kver
  mv "$tree/boot/vmlinuz-$kver" "$modules/vmlinuz"
  mv "$tree/boot/System.map-$kver" "$modules/System.map"
  mv "$tree/boot/config-$kver" "$modules/config"
  (cd "$tree" && find usr/bin/dash usr/lib/modules/"$kver"/kernel -type f | sort | cpio -o -H newc --reproducible --quiet) \
    | gzip -9n > "$modules/initramfs.img"

  rm -rf "$tree"/{boot,var,tmp,run,proc,sys,dev,home,mnt,opt,root,srv,media,usr/local}
  mkdir -m 0755 "$tree"/{boot,var,run,proc,sys,dev,sysroot} && mkdir -m 1777 "$tree/tmp"
  mv "$tree/etc" "$tree/usr/etc"
  cp "$tree/usr/share/base-passwd/passwd.master" "$tree/usr/etc/passwd"
  cp "$tree/usr/share/base-passwd/group.master" "$tree/usr/etc/group"
  for link in home:var/home mnt:var/mnt opt:var/opt root:var/roothome srv:var/srv media:run/media \
    usr/local:../var/usrlocal ostree:sysroot/ostree; do
    ln -s "${link#*:}" "$tree/${link%%:*}"
  done
  label "$tree"
}

label() { # TREE: the labels that Fedora's policy would give the main parts
  local type path
  while read -r type path; do
    find "$1/$path" -exec setfattr -h -n security.selinux -v "system_u:object_r:$type:s0" {} +
  done <<'EOF'
root_t .
usr_t usr
bin_t usr/bin
bin_t usr/sbin
lib_t usr/lib
lib_t usr/lib64
etc_t usr/etc
modules_object_t usr/lib/modules
rpm_var_lib_t usr/share/rpm
EOF
}

commit() { # KIND DIR [PARENT OPTIONS...]
  local kind=$1 dir=$2 kver
  shift 2
  kver=$(basename "$dir"/tree/usr/lib/modules/*)
  rm -rf "$here/$kind"
  ostree --repo="$here/$kind" init --mode=archive
  ostree --repo="$here/$kind" config set archive.zlib-level 9
  ostree --repo="$here/$kind" commit -b sample/os --tree=dir="$dir/tree" --subject="sample $kind build" \
    --timestamp="@$(newest "$dir")" --add-metadata-string=version="12-$kind" \
    --add-metadata=ostree.bootable=true --add-metadata-string=ostree.linux="$kver" \
    --add-metadata-string=rpmostree.inputhash="$(cd "$dir/rpms" && ls | sha256sum | cut -d' ' -f1)" "$@"
  ostree --repo="$here/$kind" fsck --quiet
}

for kind in old new; do
  rm -rf "${work:?}/$kind"
  fetch_debs $kind "$work/$kind"
  unpack_debs "$work/$kind"
  build_rpms "$work/$kind"
  install_tree "$work/$kind"
done
commit old "$work/old"
commit new "$work/new" --parent="$(ostree --repo="$here/old" rev-parse sample/os)"
# git keeps no empty directories, and ostree makes these again.
for kind in old new; do
  rm -rf "$here/$kind"/{.lock,tmp,state,extensions,uncompressed-objects-cache}
  find "$here/$kind" -type d -empty -delete
  mkdir -p "$here/$kind/refs/remotes" && : > "$here/$kind/refs/remotes/.gitkeep"   # `ostree refs` wants the directory
done
du -sh "$here/old" "$here/new"
