import type { MachineDescription } from "#shared/protocol/enrolment-request.ts";
import { bytes } from "#shared/units.ts";
import { API_HELP, API_OPTIONS, apiOf, everyItem } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { print, table } from "../terminal.ts";

export const enrolmentRequests: CliCommand = {
  name: "enrolment-requests",
  summary: "Lists machines that show a code and wait for `causeway approve`",
  usage: "enrolment-requests",
  help: API_HELP,
  examples: ["causeway enrolment-requests"],
  options: API_OPTIONS,
  positionals: [],
  async run(call) {
    const api = apiOf(call);
    const items = await everyItem((cursor) =>
      api.listEnrolmentRequests({ query: { limit: 200, ...(cursor ? { cursor } : {}) } }),
    );
    print(call.terminal, call.json, { items, cursor: null }, () => {
      const rows = items.map(({ machine, address, createdAt, expiresAt }) => [
        machine.name,
        machine.macAddresses.join(", ") || "-",
        address,
        disksInWords(machine),
        createdAt,
        expiresAt,
      ]);
      return table(
        ["NAME", "NETWORK", "FROM", "DISKS", "SINCE", "UNTIL"],
        rows,
        "No machine is waiting. A machine that you start from a boot image's ISO or over PXE shows its code on its screen.",
      );
    });
  },
};

/** `sda 2.0 GiB SSD 870, sdb 1.0 GiB`. */
export function disksInWords({ disks }: MachineDescription): string {
  const words = disks.map(({ name, sizeBytes, model }) =>
    [name, bytes(sizeBytes), ...(model ? [model] : [])].join(" "),
  );
  return words.join(", ") || "-";
}
