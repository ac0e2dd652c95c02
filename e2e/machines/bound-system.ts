/** Files of a system that starts only on the hardware it is made for. */

/** The port by which its network is configured, as a physical machine would have named it. */
export const BOUND_PORT = { name: "eno1", address: "00:26:9e:b5:e1:a4", network: "192.0.2.77/24" };

/** What configures the network of a system. */
export type Configurator = "ifupdown" | "systemd-networkd" | "NetworkManager" | "netplan";

/** By the name of the port, as a person would write it, or by its hardware address, as installers do. */
const NETWORKS: Readonly<Record<Configurator, Readonly<Record<string, string>>>> = {
  ifupdown: {
    "etc/network/interfaces": [
      "auto lo\niface lo inet loopback\n",
      `auto ${BOUND_PORT.name}\niface ${BOUND_PORT.name} inet static\n\taddress ${BOUND_PORT.network}\n`,
    ].join("\n"),
  },
  "systemd-networkd": {
    "etc/systemd/network/20-uplink.network": `[Match]\nMACAddress=${BOUND_PORT.address}\n\n[Network]\nAddress=${BOUND_PORT.network}\n`,
  },
  NetworkManager: {
    "etc/NetworkManager/system-connections/uplink.nmconnection": [
      "[connection]\nid=uplink\nuuid=9f3c7a52-0c4e-4c6b-9b0e-5a9c3f1e2d10\ntype=ethernet\n",
      `[ethernet]\nmac-address=${BOUND_PORT.address.toUpperCase()}\n`,
      `[ipv4]\nmethod=manual\naddresses=${BOUND_PORT.network}\n`,
      "[ipv6]\nmethod=disabled\n",
    ].join("\n"),
  },
  netplan: {
    "etc/netplan/01-uplink.yaml": [
      "network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    uplink:",
      `      match:\n        macaddress: "${BOUND_PORT.address}"\n      set-name: ${BOUND_PORT.name}`,
      `      addresses: [${BOUND_PORT.network}]\n`,
    ].join("\n"),
  },
};

/** Shows the address on the serial console at each start; the address may come late. */
const REPORT = `for i in $(seq 90); do ip -o -4 address show scope global | grep -q inet && break; sleep 1; done; echo "REPORT $(ip -o -4 address show scope global)" > /dev/ttyS0`;

/** The units of what `boundFiles` has. */
export const BOUND_UNITS: readonly string[] = ["corosync.service", "zz-report.service"];

/** Files of a system that only its old controller's drivers can start, and that shows its address. */
export function boundFiles(
  configurator: Configurator,
  rootDrivers: readonly string[],
): Readonly<Record<string, string>> {
  return {
    "etc/initramfs-tools/conf.d/driver-policy": "MODULES=list\n",
    "etc/initramfs-tools/modules": `${[...rootDrivers, "ahci", "sd_mod"].join("\n")}\n`,
    "etc/network/interfaces": "auto lo\niface lo inet loopback\n",
    ...NETWORKS[configurator],
    "etc/systemd/system/corosync.service": service('echo "CLUSTER" > /dev/ttyS0'),
    "etc/systemd/system/zz-report.service": service(REPORT),
  };
}

/** Runs a line of the shell once at each start. */
function service(line: string): string {
  return [
    "[Unit]\nAfter=networking.service",
    `[Service]\nType=oneshot\nExecStart=/bin/sh -c '${line}'`,
    "[Install]\nWantedBy=multi-user.target\n",
  ].join("\n");
}
