import type { KeptMachine } from "../machine-keeper.ts";

/** A machine with two disks, of which the second boots. */
export function keptMachine(changes: Partial<KeptMachine> = {}): KeptMachine {
  return {
    ...{ ownerId: "cnv_1", agentId: "agt_1", hypervisor: "libvirt", name: "web1", title: "web1" },
    ...{ uuid: "0b2f5c0a-7d61-8c3e-8f00-1a2b3c4d5e6f", folder: "/var/tmp", bootReason: "it was named" },
    bootDisk: "sdb",
    disks: ["sda", "sdb"].map((name) => ({ name, path: `/var/tmp/${name}.qcow2`, format: "qcow2" })),
    shape: {
      ...{ cpuCount: 2, memoryMiB: 512, firmware: "bios", diskBus: "sata", cardModel: "e1000", clock: "utc" },
      acceleration: "software",
      cards: [{ address: "52:54:00:00:00:01", link: { kind: "isolated" } }],
    },
    ...changes,
  } as KeptMachine;
}
