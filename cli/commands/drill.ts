import { randomUUID } from "node:crypto";
import { targetId } from "../agent-names.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import { type CliCommand, requiredOption, secondsOption, textOption } from "../command.ts";
import { print } from "../terminal.ts";
import { sayStarted } from "../wait-for-end.ts";
import { followDrill } from "./drills.ts";
import { PROVE_HELP, PROVE_OPTIONS, proveFields } from "./prove-options.ts";

export const drill: CliCommand = {
  name: "drill",
  summary: "Boots a clone of a recovery point without network, keeps the evidence, and removes the clone",
  usage: "drill POINT --target TARGET [--expect TEXT] [--boot-timeout DURATION] [--adapt] [--prove] [--wait]",
  help: [
    ["--target TARGET", "the target host that makes, boots and removes the clone"],
    ["--expect TEXT", "what the console must show when the system is up (default: a login prompt)"],
    ["--boot-timeout DURATION", "how long the clone may take to boot (default 10m)"],
    ["--adapt", "adapt its system to the clone's hardware first; the source's agents and clusters stay off"],
    ...PROVE_HELP,
    ["--wait", "wait until it ends; the exit code is 0 only if the clone booted, and no file differs"],
    ...API_HELP,
  ],
  examples: ['causeway drill rp_01jd… --target agt_01je… --expect "database is ready" --wait'],
  options: {
    ...API_OPTIONS,
    ...PROVE_OPTIONS,
    target: { type: "string" },
    expect: { type: "string" },
    "boot-timeout": { type: "string" },
    adapt: { type: "boolean" },
    wait: { type: "boolean" },
  },
  positionals: ["POINT"],
  async run(call) {
    const api = apiOf(call);
    const bootExpect = textOption(call, "expect");
    const target = requiredOption(call, "target", "drill");
    const started = await api.startDrill({
      parameters: { id: call.arguments.POINT ?? "" },
      body: {
        bootTimeoutSeconds: secondsOption(call, "boot-timeout", "drill") ?? 600,
        ...(bootExpect === undefined ? {} : { bootExpect }),
        ...(call.values.adapt === true ? { adapt: true } : {}),
        ...proveFields(call, "drill"),
        targetId: await targetId(api, target),
      },
      idempotencyKey: randomUUID(),
    });
    if (!call.values.wait) {
      const next = `\`causeway drills ${started.id}\` shows what it finds`;
      print(call.terminal, call.json, started, () => `${started.id} started; ${next}`);
      return;
    }
    sayStarted(call, started.id, "drills");
    await followDrill(started.id, api, call);
  },
};
