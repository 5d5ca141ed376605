#!/bin/sh
# machine.sh NAME STATE: process 1 of a machine, in namespaces of its own. STATE is its disk, which outlives a power cut.
set -e
name=$1 state=$2
hostname "$name"
umount -l /sys
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
for c in $CONTROLLERS; do
  mkdir "/sys/fs/cgroup/$c"
  mount -t cgroup -o "$c" cgroup "/sys/fs/cgroup/$c"
done
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
# The host's files, with the machine's own writes on top.
for p in etc opt var/lib var/log; do
  mkdir -p "$state/over/$p/upper" "$state/over/$p/work"
  mount -t overlay -o "lowerdir=/$p,upperdir=$state/over/$p/upper,workdir=$state/over/$p/work" overlay "/$p"
done
# No overlay below containerd's own.
for p in var/lib/kubelet var/lib/containerd var/lib/cni var/log/pods; do
  mkdir -p "/$p" "$state/$p"
  mount --bind "$state/$p" "/$p"
done
mkdir -p /etc/cni/net.d /opt/cni/bin
mount --bind /usr/lib/cni /opt/cni/bin
echo "127.0.0.1 localhost $name" >/etc/hosts
: >/etc/resolv.conf
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns /run/containerd
mount --make-rshared /
cd /proc/sys/net/ipv4
echo 1 >ip_forward
for i in all default; do
  for s in arp_ignore arp_announce arp_notify rp_filter proxy_arp; do echo 0 >"conf/$i/$s"; done
done
cd /
ip link set lo up
echo up
# Reaps whoever is left to it.
while :; do
  sleep 86400 &
  wait $! || true
done
