import { ConversionType, typeChoices } from "#shared/protocol/conversion-types.ts";
import type { Preflight } from "#shared/protocol/resources.ts";
import { AcceptableRule } from "#shared/protocol/rule-names.ts";
import { sourceId, targetId } from "../agent-names.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import { type CliCommand, choiceOption, choicesOption, textOption } from "../command.ts";
import { PreflightNotPassedError, UsageError } from "../errors.ts";
import { oneLine, print, table } from "../terminal.ts";
import { ACCEPT_HELP } from "./accept.ts";
import { BOOT_IMAGE_HELP, TYPE_HELP } from "./conversion-type-help.ts";

export const preflight: CliCommand = {
  name: "preflight",
  summary: "Checks every rule for a conversion, and changes nothing",
  usage: `preflight SOURCE --type ${typeChoices.all} [--target TARGET] [--boot-check]`,
  help: [
    TYPE_HELP,
    ["--target TARGET", "also checks this target host"],
    ["--disk NAME", "only this disk; can be repeated (default: all)"],
    ["--boot-check", "also checks whether the target can run a boot check"],
    BOOT_IMAGE_HELP,
    ACCEPT_HELP,
    ...API_HELP,
  ],
  examples: [
    ...ConversionType.options.map((type) => `causeway preflight agt_01jd… --type ${type} --target agt_01je…`),
    `causeway preflight agt_01jd… --type ${ConversionType.options[0]} --json | jq '.rules[] | select(.outcome == "fail")'`,
  ],
  options: {
    ...API_OPTIONS,
    type: { type: "string" },
    target: { type: "string" },
    disk: { type: "string", multiple: true },
    "boot-check": { type: "boolean" },
    "boot-image": { type: "string" },
    accept: { type: "string", multiple: true },
  },
  positionals: ["SOURCE"],
  async run(call) {
    const type = choiceOption(call, "type", ConversionType.options, this.name);
    if (!type) throw new UsageError("--type is missing", this.name);
    const target = textOption(call, "target");
    const bootImageId = textOption(call, "boot-image");
    const disks = call.values.disk as string[] | undefined;
    const api = apiOf(call);
    const found = await api.checkPreflight({
      body: {
        type,
        bootCheck: call.values["boot-check"] === true,
        accept: choicesOption(call, "accept", AcceptableRule.options, this.name),
        ...(target ? { targetId: await targetId(api, target) } : {}),
        ...(disks ? { disks } : {}),
        ...(bootImageId ? { bootImageId } : {}),
      },
      parameters: { id: await sourceId(api, call.arguments.SOURCE) },
    });
    print(call.terminal, call.json, found, () => describe(found));
    const failed = found.rules.filter(({ outcome }) => outcome === "fail").length;
    if (failed > 0) throw new PreflightNotPassedError(`${failed} rules failed`);
  },
};

function describe({ ok, rules }: Preflight): string {
  const rows = rules.map(({ id, outcome, message, acceptedBy }) => [
    outcome,
    id,
    acceptedBy === undefined ? message : `${message} (accepted by ${acceptedBy})`,
  ]);
  const remedies = rules.flatMap(({ id, remedy, outcome, acceptable }) =>
    remedy
      ? [`${id}: ${remedy}${outcome === "fail" && acceptable ? ` Or accept it with --accept ${id}.` : ""}`]
      : [],
  );
  return [
    table(["OUTCOME", "RULE", "WHAT"], rows, "no rule"),
    ...(remedies.length > 0 ? ["", ...remedies.map(oneLine)] : []),
    "",
    ok ? "This conversion can start." : "This conversion would not start.",
  ].join("\n");
}
