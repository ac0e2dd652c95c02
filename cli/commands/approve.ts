import { typeChoices } from "#shared/protocol/conversion-types.ts";
import { EnrolmentCode, type EnrolmentRequest } from "#shared/protocol/enrolment-request.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { UsageError } from "../errors.ts";
import { print } from "../terminal.ts";
import { disksInWords } from "./enrolment-requests.ts";

export const approve: CliCommand = {
  name: "approve",
  summary: "Approves a machine that was started by hand from a boot image, by the code on its screen",
  usage: "approve CODE",
  help: API_HELP,
  examples: ["causeway approve BCDF-GHJK"],
  options: API_OPTIONS,
  positionals: ["CODE"],
  async run(call) {
    const code = EnrolmentCode.safeParse(call.arguments.CODE);
    if (!code.success) throw new UsageError("CODE must be like BCDF-GHJK", this.name);
    const approved = await apiOf(call).approveEnrolment({ body: { code: code.data } });
    print(call.terminal, call.json, approved, () => describe(approved));
  },
};

function describe({ machine, address, sourceId }: EnrolmentRequest): string {
  return [
    `${machine.name} is approved`,
    `  network  ${machine.macAddresses.join(", ") || "-"}, from ${address}`,
    `  disks    ${disksInWords(machine)}`,
    `It appears within seconds as source ${sourceId}, cold cloning ready. Then run:`,
    `  causeway convert ${sourceId} --type ${typeChoices.startedByHand} --target TARGET`,
    `If this is not the machine in front of you: causeway revoke ${sourceId}`,
  ].join("\n");
}
