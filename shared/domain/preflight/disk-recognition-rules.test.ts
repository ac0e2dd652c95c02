import { expect, test } from "vitest";
import type { Disk } from "../../protocol/inventory.ts";
import { preflightRules } from "../preflight.ts";
import { aConversion, aDisk, anInventory, aSource, aTarget } from "../testing/records.ts";

const failing = (...disks: Disk[]) =>
  preflightRules({
    conversion: aConversion({ type: "remote-cold" }),
    source: aSource({ inventory: anInventory({ disks }) }),
    target: aTarget(),
  })
    .filter(({ id, outcome }) => id.startsWith("disks-") && outcome === "fail")
    .map(({ id, message }) => `${id}: ${message}`);

test("a disk to convert that could not be found again fails preflight, another disk does not", () => {
  const twin = { unrecognisable: "nothing tells it from vdb" };
  expect(failing(aDisk("vda", twin))).toEqual([
    "disks-recognisable: disk vda could not be recognised after the restart: nothing tells it from vdb",
  ]);
  expect(failing(aDisk("vda"), aDisk("vdb", twin))).toEqual([]);
});

test.each(["iscsi", "nvme-tcp", "nvme-rdma"])("a disk over %s is refused", (transport) => {
  expect(failing(aDisk("vda", { transport }))).toEqual([
    "disks-real: disk vda cannot be read from the boot environment",
  ]);
});
