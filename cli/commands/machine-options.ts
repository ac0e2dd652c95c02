import { InvalidInputError } from "#shared/errors.ts";
import { type DefineMachine, MachineAction, type WantedCard } from "#shared/protocol/machine-routes.ts";
import { type CliCall, numberOption, textOption } from "../command.ts";
import { UsageError } from "../errors.ts";

const COMMAND = "machine define";

export const CARD_HELP: [string, string][] = [
  [
    "--nic CARD",
    "bridge:NAME, network:NAME or isolated; add ,keep=IF for IF's address and ,vlan=N for a VLAN (repeatable)",
  ],
];

/** What the options ask for; throws `UsageError`. */
export function defineAction(call: CliCall, hypervisor: string): DefineMachine {
  const optional = {
    name: textOption(call, "name"),
    cpuCount: numberOption(call, "cpus", COMMAND),
    memoryMiB: numberOption(call, "memory", COMMAND),
    firmware: textOption(call, "firmware"),
    diskBus: textOption(call, "disk-bus"),
    cardModel: textOption(call, "card-model"),
    bootDisk: textOption(call, "boot-disk"),
  };
  const read = MachineAction.safeParse({
    action: "define",
    hypervisor,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
    cards: ((call.values.nic as string[] | undefined) ?? []).map(cardOf),
    acceleration: call.values.software === true ? "software" : "if-offered",
    dryRun: call.values["dry-run"] === true,
  });
  if (read.success && read.data.action === "define") return read.data;
  const issues = read.error?.issues ?? [];
  throw new InvalidInputError(issues.map(({ path, message }) => ({ path: path.join("."), message })));
}

/** `bridge:br0,keep=eth0,vlan=12`; throws `UsageError`. */
function cardOf(text: string): WantedCard {
  const [place = "", ...settings] = text.split(",");
  const [, kind, name] = /^(bridge|network):(.+)$/.exec(place) ?? [];
  if (kind === undefined && place !== "isolated")
    throw new UsageError(
      `--nic must begin with bridge:NAME, network:NAME or isolated, not ${place}`,
      COMMAND,
    );
  const values = new Map(settings.map((setting) => settingOf(setting)));
  const keep = values.get("keep");
  const vlan = values.get("vlan");
  const tag = vlan === undefined ? {} : { vlan: Number(vlan) };
  if (kind === undefined && vlan !== undefined)
    throw new UsageError("an isolated card is in no VLAN", COMMAND);
  const link =
    kind === "bridge"
      ? { kind: "bridge" as const, bridge: name ?? "", ...tag }
      : kind === "network"
        ? { kind: "network" as const, network: name ?? "", ...tag }
        : { kind: "isolated" as const };
  return { link, ...(keep === undefined ? {} : { keepAddressOf: keep }) };
}

function settingOf(setting: string): [string, string] {
  const [, name = "", value = ""] = /^(keep|vlan)=(.+)$/.exec(setting) ?? [];
  if (name === "" || (name === "vlan" && !/^\d{1,4}$/.test(value)))
    throw new UsageError(`--nic takes keep=INTERFACE and vlan=NUMBER, not ${setting}`, COMMAND);
  return [name, value];
}
