/** What the inventory of a source has that can be restarted into a boot environment of `aBootImage`. */
import type { Inventory } from "../../protocol/inventory.ts";
import { aReach } from "./records.ts";

export const restartable: Pick<Inventory, "bootLoader" | "network"> = {
  bootLoader: {
    kind: "grub",
    entries: [],
    arming: [
      {
        ...{ adapter: "grub", possible: true, form: "kernel-and-initrd", folder: "/boot/causeway" },
        freeBytes: 1e9,
      },
    ],
  },
  network: {
    interfaces: [
      {
        ...{ name: "eth0", macAddress: "52:54:00:12:34:50", kind: "ethernet", state: "up", mtuBytes: 1500 },
        driver: "virtio_net",
        addresses: [{ family: "ipv4", address: "192.0.2.10", prefixLength: 24, dynamic: false }],
        configuration: { source: "ifupdown", method: "static" },
      },
    ],
    routes: [{ destination: "default", gateway: "192.0.2.1", device: "eth0" }],
    dns: { servers: [], search: [] },
    reach: aReach(),
  },
};
