/** The script prints only this if the kernel cannot create the ports. */
export const NO_PORTS = "no-ports";

/**
 * Runs the boot environment's network script in namespaces of its own, on ports that are connected only to
 * each other. Everything it creates is in memory that is freed with the last process in there. Arguments: the
 * scripts `network`, `dhcp` and `functions`, the plan, ports (NAME MAC), leases (NAME ADDRESS LENGTH
 * ROUTER|-), and the addresses whose routes to ask for; lists have one entry a line. Prints sections that end
 * with `---`.
 */
export const REHEARSAL_SCRIPT = `
set -e
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
# What is mounted from here on is seen by nothing outside.
mount --make-rprivate /
mount -t tmpfs -o mode=0700 tmpfs /tmp
mount -t sysfs sysfs /sys
cd /tmp
mkdir library state etc
printf '%s' "$1" >library/network
printf '%s' "$2" >library/dhcp
printf '%s' "$3" >library/functions
printf '%s' "$4" >plan
printf '%s' "$5" >ports
printf '%s' "$6" >leases
: >said
: >etc/hosts
: >etc/resolv.conf
cat >>library/functions <<'END'

ip() { command ip "$@"; }
say() { echo "$1" >>/tmp/said; }
sleep() { :; }
modprobe() { :; }
load_drivers() { :; }
is_port() { grep -q "^\${1##*/} " /tmp/ports && [ ! -e "$1/master" ]; }
udhcpc() {
  while [ $# -gt 0 ]; do
    [ "$1" = -i ] && rehearsed=$2
    shift
  done
  while read -r name address length gateway; do
    [ "$name" = "$rehearsed" ] || continue
    [ "$gateway" = - ] && gateway=
    interface=$name ip=$address mask=$length router=$gateway dns= domain= staticroutes= \\
      sh /tmp/library/dhcp bound
  done </tmp/leases
  : >"/tmp/leased-$rehearsed"
}
END
[ ! -e /proc/sys/net/ipv6/conf/default/accept_dad ] || echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad || :
ip link set lo up
count=0
while read -r name mac; do
  ip link add "$name" address "$mac" type veth peer name "far$count" || { echo ${NO_PORTS}; exit 3; }
  ip link set "far$count" up
  count=$((count + 1))
done <ports
export CAUSEWAY_LIBRARY=/tmp/library CAUSEWAY_PLAN=/tmp/plan CAUSEWAY_STATE=/tmp/state CAUSEWAY_ETC=/tmp/etc
set +e
sh library/network >/dev/null 2>&1
echo "status $?"
while read -r name _; do
  tries=0
  while [ ! -e "leased-$name" ] && [ "$tries" -lt 50 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
done <leases
# A port is ready a moment after it is up, and only then are its addresses of IPv6.
tries=0
while [ -n "$(ip -6 -o address show tentative)" ] && [ "$tries" -lt 50 ]; do
  sleep 0.1
  tries=$((tries + 1))
done
cat said
echo ---
ip -json address show
echo ---
cat etc/resolv.conf
echo ---
cat etc/hosts
echo ---
for target in $7; do
  ip -json route get "$target" 2>/dev/null
  echo
  echo ---
done
`;
