import { randomUUID } from "node:crypto";
import type { AnswerCheck } from "#shared/protocol/answer-check.ts";
import { DiskFormat } from "#shared/protocol/common.ts";
import { sourceId, targetId } from "../agent-names.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import {
  type CliCall,
  type CliCommand,
  choiceOption,
  requiredOption,
  secondsOption,
  textOption,
} from "../command.ts";
import { UsageError } from "../errors.ts";
import { print } from "../terminal.ts";
import { sayStarted } from "../wait-for-end.ts";
import { ADDRESS_HELP, ADDRESS_OPTIONS, addressFields } from "./address-options.ts";
import {
  ANSWER_OPTIONS,
  ANY_CERTIFICATE_HELP,
  allOf,
  checkScript,
  consoleCheck,
  networkChecks,
} from "./answer-check.ts";
import { IDENTITY_HELP, IDENTITY_OPTIONS, identityFields } from "./identity-options.ts";
import { DESIGN_HELP, DESIGN_OPTIONS, designOf } from "./machine-options.ts";
import { PROVE_HELP, PROVE_OPTIONS, proveFields } from "./prove-options.ts";
import { followRecovery } from "./recoveries.ts";

export const recover: CliCommand = {
  name: "recover",
  summary: "Makes a machine of a source's recovery point, starts it, and keeps it; the source may be gone",
  usage:
    "recover SOURCE [--point POINT] --target TARGET --test-network|--production --hypervisor KIND [--answer ADDRESS:PORT|URL] [OPTIONS] [--wait]",
  help: [
    [
      "--point POINT",
      "the recovery point (default: the newest that is not pruned, or known as damaged or no true copy)",
    ],
    ["--target TARGET", "the target host that makes and runs the machine"],
    ["--test-network", "the machine's cards reach only each other"],
    [
      "--production",
      "it runs in place of its source, under the source's lease; needs a --nic that is not isolated",
    ],
    [
      "--source-is-off",
      "with --production: your word that the source is off, and every machine that ran in its place before",
    ],
    ...DESIGN_HELP,
    [
      "--format FORMAT",
      "format of its disks, raw or qcow2 (default: raw if the standby is cloned, otherwise qcow2); with qcow2 they are written from the repository, also if there is a standby",
    ],
    ["--adapt", "adapt its system to the machine before it starts, as `machine adapt` does"],
    ...IDENTITY_HELP,
    ...ADDRESS_HELP,
    ...PROVE_HELP,
    [
      "--answer ADDRESS:PORT|URL",
      "it has answered when the target host can open a connection there, or gets a status from 200 to 299 (repeatable: all of them; default: a login prompt on its console)",
    ],
    ANY_CERTIFICATE_HELP,
    ["--expect TEXT", "its first answer is this text on its console"],
    [
      "--check-script NAME",
      "after that, this script in /etc/causeway/checks of the target host must also succeed",
    ],
    ["--answer-timeout DURATION", "how long it may take from its start to its first answer (default 15m)"],
    ["--wait", "wait until it answers; the exit code is 0 only if it did"],
    ...API_HELP,
  ],
  examples: [
    "causeway recover agt_01jd… --target agt_01je… --test-network --hypervisor libvirt --wait",
    "causeway recover agt_01jd… --target agt_01je… --production --source-is-off --hypervisor libvirt --nic bridge:br0,keep=eth0 --answer 192.0.2.7:5432 --answer https://www.example.org/health --wait",
    "causeway recover agt_01jd… --target agt_01je… --production --source-is-off --hypervisor libvirt --nic bridge:br0 --adapt --new-host-keys --wait",
    "causeway recover agt_01jd… --target agt_01je… --production --source-is-off --hypervisor libvirt --nic bridge:br0 --adapt --address eth0=198.51.100.20/24,gateway=198.51.100.1,dns=198.51.100.53 --answer 198.51.100.20:443 --wait",
    'causeway recover agt_01jd… --point rp_01jf… --target agt_01je… --test-network --hypervisor qemu --format raw --expect "database is ready" --json',
  ],
  options: {
    ...API_OPTIONS,
    ...DESIGN_OPTIONS,
    ...IDENTITY_OPTIONS,
    ...ADDRESS_OPTIONS,
    ...ANSWER_OPTIONS,
    ...PROVE_OPTIONS,
    point: { type: "string" },
    target: { type: "string" },
    "test-network": { type: "boolean" },
    production: { type: "boolean" },
    "source-is-off": { type: "boolean" },
    format: { type: "string" },
    adapt: { type: "boolean" },
    "answer-timeout": { type: "string" },
    wait: { type: "boolean" },
  },
  positionals: ["SOURCE"],
  async run(call) {
    const api = apiOf(call);
    const target = requiredOption(call, "target", "recover");
    const pointId = textOption(call, "point");
    const format = choiceOption(call, "format", DiskFormat.options, "recover");
    const started = await api.startRecovery({
      body: {
        ...networkOf(call),
        machine: designOf(call, "recover"),
        ...(format === undefined ? {} : { format }),
        ...{ adapt: call.values.adapt === true, ...identityFields(call) },
        ...addressFields(call, "recover"),
        check: checkOf(call),
        answerTimeoutSeconds: secondsOption(call, "answer-timeout", "recover") ?? 900,
        ...proveFields(call, "recover"),
        ...(pointId === undefined ? {} : { pointId }),
        targetId: await targetId(api, target),
      },
      parameters: { id: await sourceId(api, call.arguments.SOURCE) },
      idempotencyKey: randomUUID(),
    });
    if (!call.values.wait) {
      const next = `\`causeway recoveries ${started.id}\` shows how far it is`;
      print(call.terminal, call.json, started, () => `${started.id} started; ${next}`);
      return;
    }
    sayStarted(call, started.id, "recoveries");
    await followRecovery(started.id, api, call);
  },
};

function networkOf({ values }: CliCall): { network: "test" | "production"; othersOff: boolean } {
  const isProduction = values.production === true;
  if (isProduction === (values["test-network"] === true))
    throw new UsageError("say which network the machine gets: --test-network or --production", "recover");
  const othersOff = values["source-is-off"] === true;
  if (isProduction && !othersOff)
    throw new UsageError(
      "a source that does not answer may still serve its clients: make sure that it is off, and say so with --source-is-off",
      "recover",
    );
  if (!isProduction && othersOff) throw new UsageError("--source-is-off is about --production", "recover");
  return { network: isProduction ? "production" : "test", othersOff };
}

function checkOf(call: CliCall): AnswerCheck {
  const onNetwork = networkChecks(call, "recover");
  if (onNetwork.length > 0 && textOption(call, "expect") !== undefined)
    throw new UsageError("--answer and --expect are two ways to know that it answers: name one", "recover");
  const [first = consoleCheck(call), ...others] = onNetwork;
  const name = checkScript(call, "recover");
  return allOf(first, name === undefined ? others : [...others, { kind: "script", name }], "recover");
}
