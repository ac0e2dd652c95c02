import { expect, test } from "vitest";
import { aDisk, anInventory } from "#shared/domain/testing/records.ts";
import { MachineDescription } from "#shared/protocol/enrolment-request.ts";
import type { Inventory } from "#shared/protocol/inventory.ts";
import { RecordedMachine } from "../machine/testing/recorded-machine.ts";
import { describeMachine, ownDisks } from "./describe-machine.ts";

const port = (name: string, macAddress: string): Inventory["network"]["interfaces"][number] => ({
  name,
  macAddress,
  kind: "ethernet",
  state: "up",
  mtuBytes: 1500,
  addresses: [],
  configuration: { source: "unknown", method: "unknown" },
});
const network = {
  interfaces: [
    port("eth0", "52:54:00:CA:05:E1"),
    { ...port("bond0", "52:54:00:ca:05:e2"), kind: "bond" as const },
  ],
  routes: [],
  dns: { servers: [], search: [] },
};
const dmi = (fields: Record<string, string>) =>
  new RecordedMachine({
    files: Object.fromEntries(
      Object.entries(fields).map(([name, text]) => [`/sys/class/dmi/id/${name}`, `${text}\n`]),
    ),
  });

test("a machine is described by the name on its case, its network ports and its disks", async () => {
  const inventory = anInventory({ network, disks: [aDisk("sda", { model: "SSD 870" })] });
  const described = await describeMachine(
    dmi({ sys_vendor: "HP", product_name: "ProLiant DL380 G7", product_serial: "CZ1234" }),
    inventory,
  );
  expect(described).toEqual({
    name: "HP ProLiant DL380 G7 (CZ1234)",
    macAddresses: ["52:54:00:ca:05:e1"],
    disks: [{ name: "sda", sizeBytes: 64 * 2 ** 20, model: "SSD 870" }],
  });
  expect(MachineDescription.parse(described)).toEqual(described);
});

test("a machine whose maker filled in no name is known by its first network port", async () => {
  const nameless = dmi({ sys_vendor: "To Be Filled By O.E.M.", product_serial: "0000" });
  expect((await describeMachine(nameless, anInventory({ network }))).name).toBe("52:54:00:ca:05:e1");
  expect((await describeMachine(dmi({}), anInventory())).name).toBe("unknown machine");
});

test("control characters that a maker put into a name never reach a terminal", async () => {
  const { name } = await describeMachine(dmi({ product_name: "Pine\u001b[2J\u202ebox" }), anInventory());
  expect(name).toBe("Pine [2J box");
});

test("the stick from which the machine was started is not one of its disks", () => {
  const labelled = (label: string) => ({
    number: 2,
    offsetBytes: 0,
    sizeBytes: 1,
    type: "unknown",
    bootable: false,
    content: { type: "vfat", label },
    mountPoints: [],
  });
  const stick = aDisk("sdb", { transport: "usb", partitions: [labelled("CAUSEWAY")] });
  const usbDisk = aDisk("sdc", { transport: "usb", partitions: [labelled("DATA")] });
  const inside = aDisk("sda", { transport: "sata", partitions: [labelled("CAUSEWAY")] });
  expect(ownDisks([inside, stick, usbDisk]).map(({ name }) => name)).toEqual(["sda", "sdc"]);
});
