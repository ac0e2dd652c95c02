/** A source that a remote cold conversion accepts: GRUB can be armed, and the address is known. */
import { anInventory, aReach } from "#shared/domain/testing/records.ts";

export const readyMachine = anInventory({
  bootLoader: {
    kind: "grub",
    entries: [],
    arming: [{ adapter: "grub", possible: true, form: "kernel-and-initrd", folder: "/boot", freeBytes: 1e9 }],
  },
  network: {
    interfaces: [
      {
        name: "eth0",
        kind: "ethernet",
        state: "up",
        macAddress: "52:54:00:12:34:56",
        mtuBytes: 1500,
        driver: "virtio_net",
        addresses: [{ family: "ipv4", address: "192.0.2.10", prefixLength: 24, dynamic: false }],
        configuration: { source: "ifupdown", method: "static" },
      },
    ],
    routes: [{ destination: "default", gateway: "192.0.2.1", device: "eth0" }],
    dns: { servers: [], search: [] },
    reach: aReach(),
  },
});
