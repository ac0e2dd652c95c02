import { hardwareAddressesOf } from "#shared/domain/hardware-address.ts";
import type { MachineDescription } from "#shared/protocol/enrolment-request.ts";
import type { Disk, Inventory } from "#shared/protocol/inventory.ts";
import { type Machine, readText } from "../machine/machine.ts";

const MOST_CHARACTERS = 100;
/** What makers leave in the field when they fill in no name. */
const FILLER = /^(to be filled|default string|system |not specified|none$|n\/a$|0+$|\.+$)/i;
/** The label of the boot image's own file systems on a CD or a USB stick. */
const MEDIUM_LABEL = "CAUSEWAY";

/** What an operator recognises this machine by: the name on its case, its network ports, its disks. */
export async function describeMachine(
  machine: Machine,
  { network, disks }: Pick<Inventory, "network" | "disks">,
): Promise<MachineDescription> {
  const macAddresses = hardwareAddressesOf(network.interfaces).map((address) => address.toLowerCase());
  const names = (
    await Promise.all(["sys_vendor", "product_name"].map((field) => dmi(machine, field)))
  ).filter((name) => name !== undefined);
  const serial = await dmi(machine, "product_serial");
  const name = [...names, ...(serial ? [`(${serial})`] : [])].join(" ");
  return {
    name: printable(name || macAddresses[0] || "") ?? "unknown machine",
    macAddresses: [...new Set(macAddresses)].slice(0, 16),
    disks: disks.slice(0, 64).map(({ name: disk, sizeBytes, model }) => {
      const printableModel = model && printable(model);
      return { name: disk, sizeBytes, ...(printableModel ? { model: printableModel } : {}) };
    }),
  };
}

/** The machine's own disks, without the USB stick it was started from. */
export function ownDisks(disks: readonly Disk[]): Disk[] {
  return disks.filter(({ transport, content, partitions }) => {
    const contents = [...(content ? [content] : []), ...partitions.map((partition) => partition.content)];
    return transport !== "usb" || !contents.some(({ label }) => label === MEDIUM_LABEL);
  });
}

async function dmi(machine: Machine, field: string): Promise<string | undefined> {
  const text = await readText(machine, `/sys/class/dmi/id/${field}`);
  return text && !FILLER.test(text.trim()) ? text.trim() : undefined;
}

/** The text without control characters; `undefined` if nothing is left. */
function printable(text: string): string | undefined {
  return (
    text
      .replaceAll(/\p{C}+/gu, " ")
      .trim()
      .slice(0, MOST_CHARACTERS)
      .trim() || undefined
  );
}
