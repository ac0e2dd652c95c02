import type { ApiClient } from "#shared/protocol/client.ts";
import type { MachineAction, MachineOperation } from "#shared/protocol/machine-routes.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import type { CliCall, CliCommand } from "../command.ts";
import { MachineActionFailedError } from "../errors.ts";
import { oneLine, print, table, titled } from "../terminal.ts";
import { waitForEnd } from "../wait-for-end.ts";
import { ADDRESS_HELP, ADDRESS_OPTIONS, addressFields } from "./address-options.ts";
import { describedAdaptation } from "./described-adaptation.ts";
import { IDENTITY_HELP, IDENTITY_OPTIONS, identityFields } from "./identity-options.ts";
import { DESIGN_HELP, DESIGN_OPTIONS, designOf } from "./machine-options.ts";

/** An action on the machine of a conversion, recovery or cutover: it is sent, and awaited. */
function machineAction(
  command: Omit<CliCommand, "positionals" | "run" | "help" | "options"> & Partial<CliCommand>,
  actionOf: (call: CliCall) => MachineAction,
): CliCommand {
  return {
    ...command,
    help: [...(command.help ?? []), ...API_HELP],
    options: { ...command.options, ...API_OPTIONS },
    positionals: ["OWNER"],
    async run(call) {
      const ended = await perform(apiOf(call), call, actionOf(call));
      print(call.terminal, call.json, ended, () => described(ended));
      if (ended.failure) throw new MachineActionFailedError(ended.failure.message, ended.failure.hint);
      if (ended.state !== "succeeded")
        throw new MachineActionFailedError(`the action is ${ended.state}`, "Try again.");
    },
  };
}

async function perform(api: ApiClient, call: CliCall, body: MachineAction): Promise<MachineOperation> {
  const parameters = { id: call.arguments.OWNER ?? "" };
  const { id, targetId } = await api.changeMachine({ parameters, body });
  const find = async () => {
    const { items } = await api.listMachineOperations({ parameters });
    const found = items.find((item) => item.id === id);
    if (!found) throw new MachineActionFailedError(`there is no ${id} any more`, "Try again.");
    return found;
  };
  const progress = ({ state }: MachineOperation) =>
    state === "pending"
      ? `${id} is sent; target host ${targetId} gets it when it is connected, also if you stop waiting`
      : `${id} is ${state} on target host ${targetId}`;
  return waitForEnd(find, progress, call.terminal);
}

export const machineDefine: CliCommand = machineAction(
  {
    name: "machine define",
    summary:
      "Defines a virtual machine with the disks of a completed conversion, a recovery or a cutover, switched off",
    usage: "machine define CONVERSION|RECOVERY|CUTOVER --hypervisor KIND [--nic CARD] [OPTIONS] [--dry-run]",
    help: [...DESIGN_HELP, ["--dry-run", "show what would be defined, and define nothing"]],
    examples: [
      "causeway machine define cnv_01jd… --hypervisor libvirt --nic isolated --dry-run",
      "causeway machine define cnv_01jd… --hypervisor libvirt --nic bridge:br0,keep=eth0 --memory 4096",
    ],
    options: {
      ...DESIGN_OPTIONS,
      "dry-run": { type: "boolean" },
    },
  },
  (call) => ({
    action: "define",
    ...designOf(call, "machine define"),
    dryRun: call.values["dry-run"] === true,
  }),
);

export const machineAdapt: CliCommand = machineAction(
  {
    name: "machine adapt",
    summary:
      "Adapts the system on the disks of a conversion, recovery or cutover to the machine that is defined for it",
    usage: "machine adapt CONVERSION|RECOVERY|CUTOVER [--port NAME]... [OPTIONS] [--dry-run]",
    help: [
      ["--port NAME", "the source's port whose place a card takes, in the order of the cards (repeatable)"],
      ["--drill", "keep off what acts in the source's name: the Causeway agent, clusters, monitoring"],
      ...IDENTITY_HELP,
      ...ADDRESS_HELP,
      ["--dry-run", "try it on a throw-away copy, show each change, and change nothing"],
    ],
    examples: [
      "causeway machine adapt cnv_01jd… --dry-run",
      "causeway machine adapt cnv_01jd… --port eno1 --drill --new-machine-id",
      "causeway machine adapt cnv_01jd… --address eno1=192.0.2.20/24,gateway=192.0.2.1 --dry-run",
    ],
    options: {
      port: { type: "string", multiple: true },
      drill: { type: "boolean" },
      ...IDENTITY_OPTIONS,
      ...ADDRESS_OPTIONS,
      "dry-run": { type: "boolean" },
    },
  },
  (call) => ({
    action: "adapt",
    ...(call.values.port === undefined ? {} : { ports: call.values.port as string[] }),
    ...identityFields(call),
    ...addressFields(call, "machine adapt"),
    purpose: call.values.drill === true ? "drill" : "production",
    dryRun: call.values["dry-run"] === true,
  }),
);

export const machineStart: CliCommand = machineAction(
  {
    name: "machine start",
    summary: "Switches the machine of a conversion, recovery or cutover on",
    usage: "machine start CONVERSION|RECOVERY|CUTOVER",
    examples: ["causeway machine start cnv_01jd…"],
  },
  () => ({ action: "start" }),
);

export const machineStop: CliCommand = machineAction(
  {
    name: "machine stop",
    summary: "Shuts the machine of a conversion, recovery or cutover down, and waits until it is off",
    usage: "machine stop CONVERSION|RECOVERY|CUTOVER [--at-once]",
    help: [["--at-once", "switch it off; what it has not written to its disks is lost"]],
    examples: ["causeway machine stop cnv_01jd…"],
    options: { "at-once": { type: "boolean" } },
  },
  (call) => ({ action: "stop", atOnce: call.values["at-once"] === true }),
);

export const machineRemove: CliCommand = machineAction(
  {
    name: "machine remove",
    summary:
      "Removes the machine of a conversion, recovery or cutover from its hypervisor; its disks stay unless asked",
    usage: "machine remove CONVERSION|RECOVERY|CUTOVER [--disks]",
    help: [["--disks", "also remove its disks on the target host"]],
    examples: ["causeway machine remove cnv_01jd…"],
    options: { disks: { type: "boolean" } },
  },
  (call) => ({ action: "remove", disks: call.values.disks === true }),
);

export const machine: CliCommand = {
  name: "machine",
  summary: "Lists what was done with the machine of a conversion, recovery or cutover",
  usage: "machine CONVERSION|RECOVERY|CUTOVER",
  help: API_HELP,
  examples: ["causeway machine cnv_01jd… --json"],
  options: API_OPTIONS,
  positionals: ["OWNER"],
  async run(call) {
    const id = call.arguments.OWNER ?? "";
    const { items } = await apiOf(call).listMachineOperations({ parameters: { id } });
    print(call.terminal, call.json, { items, cursor: null }, () => {
      const rows = items.map(({ action, state, issuedAt, machine, definitions, failure }) => [
        issuedAt,
        definitions ? `${action} (dry run)` : action,
        state,
        machine ? `${machine.name} (${machine.hypervisor})` : "-",
        failure?.message ?? "-",
      ]);
      return table(["TIME", "ACTION", "STATE", "MACHINE", "NOTE"], rows, "No machine was defined.");
    });
  },
};

function described({
  action,
  machine: defined,
  power,
  disksRemoved,
  definitions,
  adaptation,
}: MachineOperation): string {
  if (adaptation) return describedAdaptation(adaptation);
  if (action === "remove")
    return `the machine is removed${disksRemoved ? ", and its disks" : "; its disks stay"}`;
  if (!defined) return action;
  const { name, hypervisor, uuid, bootDisk, bootReason } = defined;
  const boots = `${bootDisk} boots: ${bootReason}`;
  if (definitions)
    return [
      oneLine(`${name} would be defined in ${hypervisor} with the uuid ${uuid}; ${boots}`),
      ...definitions.flatMap(({ name, text }) => titled(name, text)),
    ].join("\n");
  if (power) return oneLine(`${name} (${hypervisor}) is ${power}`);
  return oneLine(`${name} is defined in ${hypervisor}, switched off; ${boots}`);
}
