import { resolve } from "node:path";
import { FenceKeeper, type FenceState, isUnfinished } from "#agent/fence/fence-keeper.ts";
import { endingHooks } from "#agent/fence/set-fence.ts";
import { cutoverHooksOf } from "#agent/hooks/cutover-hooks.ts";
import { localSystemctl } from "#agent/hypervisor/qemu/service/systemctl.ts";
import { jsonLog } from "#shared/log.ts";
import { type CliCommand, requiredOption } from "../command.ts";
import { consoleUser } from "../console-user.ts";
import { UsageError } from "../errors.ts";
import { oneLine, print } from "../terminal.ts";

const DATA: [string, string] = ["--data DIR", "the data folder of this source's agent"];

export const fenceBreak: CliCommand = {
  name: "fence break",
  summary: "On a fenced source: starts its services again, on your word that the machine in its place is off",
  usage: "fence break --data DIR --machine-is-off",
  help: [DATA, ["--machine-is-off", "your word that the machine is off, and stays off; it is recorded"]],
  examples: ["causeway fence break --data /var/lib/causeway-agent --machine-is-off"],
  options: { data: { type: "string" }, "machine-is-off": { type: "boolean" } },
  positionals: [],
  async run(call) {
    const data = requiredOption(call, "data", this.name);
    const fence = keeperOf(data);
    if (call.values["machine-is-off"] !== true)
      throw new UsageError(
        "two machines that run destroy each other's work: make sure that the other one is off, and say so with --machine-is-off",
        this.name,
      );
    const log = jsonLog({ write: (line) => call.terminal.err(line), now: Date.now });
    const hooks = cutoverHooksOf(resolve(data), log);
    const broken = await endingHooks(fence, hooks, fence.break(consoleUser(call.environment)));
    print(call.terminal, call.json, broken, () => `the fence is broken; started: ${listed(broken.stopped)}`);
  },
};

export const fence: CliCommand = {
  name: "fence",
  summary: "On a source: shows whether it is fenced, since when, and why",
  usage: "fence --data DIR",
  help: [DATA],
  examples: ["causeway fence --data /var/lib/causeway-agent --json"],
  options: { data: { type: "string" } },
  positionals: [],
  async run(call) {
    const data = requiredOption(call, "data", this.name);
    const keeper = keeperOf(data);
    const found = await keeper.read();
    const foreign = await keeper.foreignMarker();
    print(call.terminal, call.json, found, () => {
      if (found.isUp) {
        const until = found.lasting ? "" : ", until the next restart";
        const fenced = `fenced since ${found.since}${until}: ${oneLine(found.reason ?? "")} Kept down: ${listed(found.services)}`;
        return found.unstopped.length > 0
          ? `${fenced} Could not be stopped, and may run: ${listed(found.unstopped)}`
          : fenced;
      }
      if (isUnfinished(found)) return unfinishedText(found, data);
      if (foreign !== undefined)
        return `not fenced by the agent of this data folder, but ${foreign} keeps services down: name the data folder of the agent that made it`;
      const { broken } = found;
      return broken ? `not fenced; broken ${broken.at} by ${oneLine(broken.by)}` : "not fenced";
    });
  },
};

/** It is down by its record, and what it kept down may still be. */
function unfinishedText({ broken, term, services, stopped }: FenceState, data: string): string {
  const left = listed([...new Set([...services, ...stopped])]);
  const isBroken = broken?.term === term;
  const how = isBroken ? `broken ${broken.at} by ${oneLine(broken.by)}` : "taken down";
  const again = isBroken
    ? `repeat causeway fence break --data ${data} --machine-is-off`
    : "start the agent again";
  return `${how}, but only in part: ${left} may still be down; to finish it, ${again}`;
}

function keeperOf(data: string): FenceKeeper {
  return new FenceKeeper({ dataDir: resolve(data), systemctl: localSystemctl, now: () => new Date() });
}

const listed = (services: readonly string[]): string => services.join(" ") || "none";
