import { randomUUID } from "node:crypto";
import type { ApiClient } from "#shared/protocol/client.ts";
import { DiskFormat } from "#shared/protocol/common.ts";
import type { Cutover } from "#shared/protocol/cutover.ts";
import { Quiesce, quiesceChoices, quiesces, usualQuiesce } from "#shared/protocol/quiesce.ts";
import { AcceptableRule } from "#shared/protocol/rule-names.ts";
import { sourceId, targetId } from "../agent-names.ts";
import { API_HELP, API_OPTIONS, apiOf, everyItem } from "../api.ts";
import {
  type CliCall,
  type CliCommand,
  choiceOption,
  choicesOption,
  numberOption,
  requiredOption,
  textOption,
} from "../command.ts";
import { UsageError } from "../errors.ts";
import { print, table } from "../terminal.ts";
import { ACCEPT_HELP } from "./accept.ts";
import { ADDRESS_HELP, ADDRESS_OPTIONS, addressFields } from "./address-options.ts";
import { ANSWER_OPTIONS, ANY_CERTIFICATE_HELP, allOf, checkScript, networkChecks } from "./answer-check.ts";
import { CUTOVER_HELP, CUTOVER_OPTIONS, cutoverFields } from "./cutover-options.ts";
import { describeCutover, describeForecast, describeOutageParts } from "./cutover-text.ts";
import { IDENTITY_HELP, IDENTITY_OPTIONS, identityFields } from "./identity-options.ts";
import { DESIGN_HELP, DESIGN_OPTIONS, designOf } from "./machine-options.ts";
import { PROVE_HELP, PROVE_OPTIONS, proveFields } from "./prove-options.ts";

const CREATE = "cutover create";

const QUIESCE_HELP: [string, string] = [
  `--quiesce ${quiesceChoices}`,
  `how the source stops: ${Quiesce.options.map((name) => `${name}: ${quiesces[name].summary}`).join("; ")} (default ${usualQuiesce})`,
];

export const cutoverCreate: CliCommand = {
  name: CREATE,
  summary: "Prepares the cutover of a protected source to a machine on the target host that has its standby",
  usage: "cutover create SOURCE --target TARGET --window HOURS --hypervisor KIND --nic CARD [OPTIONS]",
  help: [
    [
      "--target TARGET",
      "the target host that has the standby of the source's plan; it makes and runs the machine",
    ],
    ...CUTOVER_HELP,
    ["--needs-approval", "another person has to approve it before it begins"],
    ...DESIGN_HELP,
    [
      "--format FORMAT",
      "format of its disks: raw (default), because they are clones of the standby; qcow2 is refused, with the way to such a machine",
    ],
    [
      "--switch-source-off",
      "the source shuts down before the machine is connected: for a machine that takes its only address",
    ],
    QUIESCE_HELP,
    ACCEPT_HELP,
    ["--adapt", "adapt its system to the machine before it starts, as `machine adapt` does"],
    ...IDENTITY_HELP,
    ...ADDRESS_HELP,
    ...PROVE_HELP,
    ["--expect TEXT", "it is up when its console shows this text (default: a login prompt)"],
    [
      "--check-script NAME",
      "then this script in /etc/causeway/checks of the target host must succeed, or it is rolled back",
    ],
    [
      "--answer ADDRESS:PORT|URL",
      "it must also accept a connection there, or answer with a status from 200 to 299: before the commit, as far as it can be asked while it is isolated, and once its network is connected (repeatable: all of them)",
    ],
    [
      "--answer-after-commit",
      "ask --answer only once its network is connected: for what needs other machines to answer",
    ],
    ANY_CERTIFICATE_HELP,
    ...API_HELP,
  ],
  examples: [
    "causeway cutover create agt_01jd… --target agt_01je… --window 2030-01-05,22:00-02:00 --time-zone Europe/Vienna --hypervisor libvirt --nic bridge:br0,keep=eth0 --switch-source-off",
    "causeway cutover create agt_01jd… --target agt_01je… --window 2030-01-05..2030-01-07,22:00-02:00 --automatic --needs-approval --hypervisor qemu --nic bridge:br0 --answer 192.0.2.7:5432 --json",
    "causeway cutover create agt_01jd… --target agt_01je… --window 2030-01-05,22:00-02:00 --hypervisor libvirt --nic bridge:br0 --adapt --new-machine-id --new-host-keys",
    "causeway cutover create agt_01jd… --target agt_01je… --window 2030-01-05,22:00-02:00 --hypervisor libvirt --nic bridge:br0 --adapt --address eth0=192.0.2.20/24,gateway=192.0.2.1 --address eth0=2001:db8::20/64 --answer 192.0.2.20:443",
  ],
  options: {
    ...API_OPTIONS,
    ...CUTOVER_OPTIONS,
    ...DESIGN_OPTIONS,
    ...IDENTITY_OPTIONS,
    ...ADDRESS_OPTIONS,
    ...ANSWER_OPTIONS,
    ...PROVE_OPTIONS,
    target: { type: "string" },
    format: { type: "string" },
    "needs-approval": { type: "boolean" },
    "switch-source-off": { type: "boolean" },
    quiesce: { type: "string" },
    accept: { type: "string", multiple: true },
    adapt: { type: "boolean" },
    "answer-after-commit": { type: "boolean" },
  },
  positionals: ["SOURCE"],
  async run(call) {
    const { windows, ...fields } = cutoverFields(call, CREATE);
    if (!windows) throw new UsageError("--window is missing", CREATE);
    const expect = textOption(call, "expect");
    const [first, ...others] = networkChecks(call, CREATE);
    const check = first && allOf(first, others, CREATE);
    const asksIsolated = call.values["answer-after-commit"] !== true;
    if (!asksIsolated && !check)
      throw new UsageError("--answer-after-commit is about an --answer: name one", CREATE);
    const script = checkScript(call, CREATE);
    const format = choiceOption(call, "format", DiskFormat.options, CREATE);
    const quiesce = choiceOption(call, "quiesce", Quiesce.options, CREATE);
    const target = requiredOption(call, "target", CREATE);
    const api = apiOf(call);
    const created = await api.createCutover({
      body: {
        ...{ windows, ...fields, machine: designOf(call, CREATE), format },
        needsApproval: call.values["needs-approval"] === true,
        ...{ adapt: call.values.adapt === true, ...identityFields(call) },
        ...addressFields(call, CREATE),
        switchSourceOff: call.values["switch-source-off"] === true,
        ...{ quiesce, accept: choicesOption(call, "accept", AcceptableRule.options, CREATE) },
        ...proveFields(call, CREATE),
        ...(expect === undefined ? {} : { expect }),
        ...(script === undefined ? {} : { script }),
        ...(check === undefined ? {} : { check, asksIsolated }),
        sourceId: await sourceId(api, call.arguments.SOURCE),
        targetId: await targetId(api, target),
      },
      idempotencyKey: randomUUID(),
    });
    show(created, call);
  },
};

export const cutoverEdit: CliCommand = {
  name: "cutover edit",
  summary: "Changes the windows, mode or limits of a cutover that has not begun; an approval ends",
  usage: "cutover edit CUTOVER [OPTIONS]",
  help: [...CUTOVER_HELP, ...API_HELP],
  examples: ["causeway cutover edit cut_01jd… --window 2030-01-06,22:00-04:00 --time-zone Europe/Vienna"],
  options: { ...API_OPTIONS, ...CUTOVER_OPTIONS },
  positionals: ["CUTOVER"],
  async run(call) {
    const body = cutoverFields(call, "cutover edit");
    if (Object.keys(body).length === 0)
      throw new UsageError("edit needs an option to change", "cutover edit");
    show(await apiOf(call).editCutover({ parameters: { id: call.arguments.CUTOVER ?? "" }, body }), call);
  },
};

export const cutoverApprove: CliCommand = {
  name: "cutover approve",
  summary: "Approves a version of a cutover that another person asked for",
  usage: "cutover approve CUTOVER --version NUMBER",
  help: [
    ["--version NUMBER", "the one that you have read with `cutover show`; each edit makes another one"],
    ...API_HELP,
  ],
  examples: ["causeway cutover approve cut_01jd… --version 2"],
  options: { ...API_OPTIONS, version: { type: "string" } },
  positionals: ["CUTOVER"],
  async run(call) {
    const version = numberOption(call, "version", "cutover approve");
    if (version === undefined)
      throw new UsageError(
        "--version is missing: it is what `cutover show` says, so that nothing is approved unread",
        "cutover approve",
      );
    const parameters = { id: call.arguments.CUTOVER ?? "" };
    show(await apiOf(call).approveCutover({ parameters, body: { version } }), call);
  },
};

export const cutoverForecast: CliCommand = {
  name: "cutover forecast",
  summary: "Shows how long the outage of a cutover would be, and whether that fits its window",
  usage: "cutover forecast CUTOVER",
  help: API_HELP,
  examples: ["causeway cutover forecast cut_01jd… --json"],
  options: API_OPTIONS,
  positionals: ["CUTOVER"],
  async run(call) {
    const cutover = await apiOf(call).getCutover({ parameters: { id: call.arguments.CUTOVER ?? "" } });
    print(call.terminal, call.json, cutover.forecast, () =>
      cutover.forecast === null
        ? `${cutover.id} is ${cutover.state}, and no forecast was made for it`
        : [...describeForecast(cutover), ...describeOutageParts(cutover)].join("\n"),
    );
  },
};

type Ask = (api: ApiClient, request: { parameters: { id: string } }) => Promise<Cutover>;

function action(verb: string, summary: string, ask: Ask): CliCommand {
  return {
    name: `cutover ${verb}`,
    summary,
    usage: `cutover ${verb} CUTOVER`,
    help: API_HELP,
    examples: [`causeway cutover ${verb} cut_01jd…`, `causeway cutover ${verb} cut_01jd… --json`],
    options: API_OPTIONS,
    positionals: ["CUTOVER"],
    async run(call) {
      show(await ask(apiOf(call), { parameters: { id: call.arguments.CUTOVER ?? "" } }), call);
    },
  };
}

/** What an operator can do with a cutover by its id alone. */
export const cutoverActions: CliCommand[] = [
  action("go", "Begins a cutover now, if a window is open and the forecast fits", (api, one) =>
    api.goCutover(one),
  ),
  action("hold", "Has a cutover that has not begun wait for a person's go", (api, one) =>
    api.holdCutover(one),
  ),
  action("cancel", "Cancels a cutover that has not begun", (api, one) => api.cancelCutover(one)),
  action("rollback", "Rolls back a cutover that has not committed: the source serves again", (api, one) =>
    api.rollBackCutover(one),
  ),
];

export const cutovers: CliCommand = {
  name: "cutovers",
  summary: "Lists cutovers, newest first",
  usage: "cutovers",
  help: API_HELP,
  examples: ["causeway cutovers --json"],
  options: API_OPTIONS,
  positionals: [],
  async run(call) {
    const api = apiOf(call);
    const items = await everyItem((cursor) =>
      api.listCutovers({ query: { limit: 200, ...(cursor ? { cursor } : {}) } }),
    );
    print(call.terminal, call.json, { items, cursor: null }, () => {
      const rows = items.map((item) => [
        ...[item.id, item.state, item.sourceId, item.targetId],
        ...[item.window?.opensAt ?? "-", item.deadlineAt ?? "-"],
      ]);
      const headings = ["ID", "STATE", "SOURCE", "TARGET", "WINDOW", "DEADLINE"];
      return table(headings, rows, "No cutover yet: `causeway cutover create SOURCE` prepares one.");
    });
  },
};

function show(cutover: Cutover, call: CliCall): void {
  print(call.terminal, call.json, cutover, () => describeCutover(cutover));
}
