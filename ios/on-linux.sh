#!/bin/sh
# Swift on Linux: a Debian of its own that has the compiler, in the cache folder, outside the tree.
#
#   ios/on-linux.sh is-there          whether it was made
#   ios/on-linux.sh make              makes it: 1.5 GB, a minute or two; needs root, debootstrap and Debian's mirror
#   ios/on-linux.sh run COMMAND...    runs a command in it, in this folder, as the repository is seen outside
#
# Every mount lies in a namespace of its own and ends with the command; nothing has to be cleaned up.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
repository=$(dirname "$here")
cache=${TAZUNE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}}/tazune
root=$cache/swift-root

# The mirror that this machine's own apt uses.
mirror() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null |
        sed -n 's/^URIs: *//p; s/^deb  *\(\[[^]]*\] *\)\{0,1\}//p' |
        awk '$1 ~ /\/debian\/?$/ { print $1; exit }'
}

case ${1:-} in
is-there)
    test -x "$root/usr/libexec/swift/bin/swift-test"
    ;;
make)
    mkdir -p "$cache"
    # Left over from a run that was ended.
    rm -rf "$root.new"
    MIRROR=$(mirror) NEW=$root.new exec unshare --mount --pid --fork --kill-child sh -euc '
        debootstrap --variant=minbase trixie "$NEW" "$MIRROR"
        mount -t proc proc "$NEW/proc"
        cp /etc/resolv.conf "$NEW/etc/resolv.conf"
        # Debuggers, editors, other targets: half of the package. A root that a crash spoils is made anew.
        for unused in bin/clangd bin/docc "bin/lldb*" bin/sourcekit-lsp bin/swift-format \
            "lib/liblldb*" lib/libsourcekitdInProc.so lib/swift/embedded lib/swift_static; do
            printf "path-exclude=/usr/libexec/swift/%s\n" "$unused" "$unused/*"
        done > "$NEW/etc/dpkg/dpkg.cfg.d/small"
        echo force-unsafe-io >> "$NEW/etc/dpkg/dpkg.cfg.d/small"
        export DEBIAN_FRONTEND=noninteractive
        chroot "$NEW" apt-get install --yes --no-install-recommends swiftlang libc6-dev
        chroot "$NEW" apt-get clean
        umount "$NEW/proc"
        rm -rf "${NEW%.new}"
        mv "$NEW" "${NEW%.new}"'
    ;;
run)
    shift
    mkdir -p "$root$repository" "$root/tmp/build"
    ROOT=$root REPOSITORY=$repository exec unshare --mount --pid --fork --kill-child sh -euc '
        mount --bind "$REPOSITORY" "$ROOT$REPOSITORY"
        mount -t proc proc "$ROOT/proc"
        mount --bind /dev "$ROOT/dev"
        export HOME=/tmp PATH=/usr/libexec/swift/bin:/usr/sbin:/usr/bin:/sbin:/bin
        exec chroot "$ROOT" sh -c "cd \"\$0/ios\" && exec \"\$@\"" "$REPOSITORY" "$@"' sh "$@"
    ;;
*)
    sed -n 's/^# \{0,1\}//p' "$0" | head -6
    exit 2
    ;;
esac
