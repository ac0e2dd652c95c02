import { InvalidInputError } from "#shared/errors.ts";
import { inWords } from "#shared/problem-words.ts";
import { MachineDesign, type WantedCard } from "#shared/protocol/machine-routes.ts";
import { type CliCall, type CliCommand, numberOption, requiredOption, textOption } from "../command.ts";
import { UsageError } from "../errors.ts";

/** What a machine is to be like: the options that commands which define one share. */
export const DESIGN_HELP: [string, string][] = [
  ["--hypervisor KIND", "libvirt, or qemu: a service of the host that runs QEMU"],
  ["--name NAME", "its name there (default: made of the source's)"],
  ["--cpus N", "processors (default: as many as the source has)"],
  ["--memory MIB", "memory (default: as much as the source has)"],
  ["--firmware KIND", "bios or uefi (default: what the disks expect)"],
  ["--disk-bus BUS", "virtio, scsi, sata or ide (default: sata, for which nearly every system has a driver)"],
  [
    "--nic CARD",
    "bridge:NAME, network:NAME or isolated; add ,keep=IF for IF's address and ,vlan=N for a VLAN (repeatable)",
  ],
  ["--card-model MODEL", "virtio or e1000 (default: virtio for Linux)"],
  ["--boot-disk DISK", "the disk that boots (default: the one that the source started from)"],
  ["--software", "emulate the processor, also if the host offers KVM"],
];

export const DESIGN_OPTIONS = {
  hypervisor: { type: "string" },
  name: { type: "string" },
  cpus: { type: "string" },
  memory: { type: "string" },
  firmware: { type: "string" },
  "disk-bus": { type: "string" },
  nic: { type: "string", multiple: true },
  "card-model": { type: "string" },
  "boot-disk": { type: "string" },
  software: { type: "boolean" },
} as const satisfies CliCommand["options"];

/** What the options of `DESIGN_OPTIONS` ask for; throws `UsageError` about `command`. */
export function designOf(call: CliCall, command: string): MachineDesign {
  const optional = {
    name: textOption(call, "name"),
    cpuCount: numberOption(call, "cpus", command),
    memoryMiB: numberOption(call, "memory", command),
    firmware: textOption(call, "firmware"),
    diskBus: textOption(call, "disk-bus"),
    cardModel: textOption(call, "card-model"),
    bootDisk: textOption(call, "boot-disk"),
  };
  const wanted = {
    hypervisor: requiredOption(call, "hypervisor", command),
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
    cards: ((call.values.nic as string[] | undefined) ?? []).map((card) => cardOf(card, command)),
    acceleration: call.values.software === true ? "software" : "if-offered",
  };
  const read = MachineDesign.safeParse(wanted, { error: inWords });
  if (read.success) return read.data;
  throw new InvalidInputError(
    read.error.issues.map(({ path, message }) => ({ path: path.join("."), message })),
  );
}

/** `bridge:br0,keep=eth0,vlan=12`; throws `UsageError`. */
function cardOf(text: string, command: string): WantedCard {
  const [place = "", ...settings] = text.split(",");
  const [, kind, name] = /^(bridge|network):(.+)$/.exec(place) ?? [];
  if (kind === undefined && place !== "isolated")
    throw new UsageError(
      `--nic must begin with bridge:NAME, network:NAME or isolated, not ${place}`,
      command,
    );
  const values = new Map(settings.map((setting) => settingOf(setting, command)));
  const keep = values.get("keep");
  const vlan = values.get("vlan");
  const tag = vlan === undefined ? {} : { vlan: Number(vlan) };
  if (kind === undefined && vlan !== undefined)
    throw new UsageError("an isolated card is in no VLAN", command);
  const link =
    kind === "bridge"
      ? { kind: "bridge" as const, bridge: name ?? "", ...tag }
      : kind === "network"
        ? { kind: "network" as const, network: name ?? "", ...tag }
        : { kind: "isolated" as const };
  return { link, ...(keep === undefined ? {} : { keepAddressOf: keep }) };
}

function settingOf(setting: string, command: string): [string, string] {
  const [, name = "", value = ""] = /^(keep|vlan)=(.+)$/.exec(setting) ?? [];
  if (name === "" || (name === "vlan" && !/^\d{1,4}$/.test(value)))
    throw new UsageError(`--nic takes keep=INTERFACE and vlan=NUMBER, not ${setting}`, command);
  return [name, value];
}
