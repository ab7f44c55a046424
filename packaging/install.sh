#!/bin/sh
# Puts a built binary, its other names, manual pages, completions and the systemd unit in place.
#
#   packaging/install.sh target/release/rowhouse
#
# PREFIX is where programs go (/usr/local). DESTDIR is put before every path, for packages. A configuration
# file that is there is kept.
set -eu
# What is installed is for everybody to read, whatever the caller's own files are.
umask 022

binary=${1:?the binary to install, such as target/release/rowhouse}
prefix=${PREFIX:-/usr/local}
root=${DESTDIR:-}
here=$(dirname "$0")

bin=$root$prefix/bin
share=$root$prefix/share
config=$root/etc/rowhouse/rowhouse.toml
units=$root$prefix/lib/systemd/system
users=$root$prefix/lib/sysusers.d
rowhouse=$bin/rowhouse

mkdir -p "$bin" "$units" "$users" "$(dirname "$config")"
# Beside and renamed, so that a running server keeps the program it has.
cp "$binary" "$rowhouse.new"
chmod 0755 "$rowhouse.new"
mv "$rowhouse.new" "$rowhouse"

# The binary is the command it is called by.
aliases='sqlite-multi-server sqlite-multiprocess-server curve-keygen shibudb'
for name in $aliases; do
    ln -sf rowhouse "$bin/$name"
done

"$rowhouse" man --out "$share/man/man1"
mkdir -p "$share/bash-completion/completions" "$share/zsh/site-functions" "$share/fish/vendor_completions.d"
for name in rowhouse $aliases; do
    "$rowhouse" completions bash "$name" > "$share/bash-completion/completions/$name"
    "$rowhouse" completions zsh "$name" > "$share/zsh/site-functions/_$name"
    "$rowhouse" completions fish "$name" > "$share/fish/vendor_completions.d/$name.fish"
done

if [ ! -e "$config" ]; then
    # Every option at its default, and what the unit needs.
    "$rowhouse" config example | sed \
        -e 's|^# tcp_address = .*|tcp_address = "tcp://127.0.0.1:5000"|' \
        -e 's|^# data_directory = .*|data_directory = "/var/lib/rowhouse"|' > "$config.new"
    chmod 0644 "$config.new"
    mv "$config.new" "$config"
fi
sed "s|/usr/bin/rowhouse|$prefix/bin/rowhouse|" "$here/systemd/rowhouse.service" > "$units/rowhouse.service"
cp "$here/systemd/rowhouse.sysusers" "$users/rowhouse.conf"
chmod 0644 "$units/rowhouse.service" "$users/rowhouse.conf"
echo "installed $rowhouse, and as: $aliases"
