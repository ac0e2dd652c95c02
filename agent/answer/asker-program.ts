/**
 * The asker: a process in a network namespace of its own, which takes the place of the gateway in the
 * networks of an isolated machine and asks that. It ends with the agent that started it, and with it goes
 * everything that leads to the machine.
 */
import { isIP } from "node:net";
import { isSameAddress } from "#shared/addresses.ts";
import type { IsolatedNetwork } from "#shared/protocol/isolated-network.ts";
import { type FromAsker, ToAsker } from "./asker-messages.ts";
import { connectionRefusal } from "./connection.ts";
import { httpRefusal } from "./http-request.ts";
import { ASKER_LINK, ipTool } from "./ip-tool.ts";
import { hostReach } from "./reach.ts";
import type { CheckMeans } from "./wait.ts";

const tell = (message: FromAsker): void => void process.send?.(message);

process.on("disconnect", () => process.exit());
process.on("message", (message) => {
  obey(ToAsker.parse(message)).then(tell, (error) => tell({ kind: "failed", why: String(error) }));
});
tell({ kind: "started" });

async function obey(message: ToAsker): Promise<FromAsker> {
  if (message.kind === "enter") {
    await enter(message.networks);
    return { kind: "entered" };
  }
  const why = await refusalAt(message);
  return { kind: "asked", ...(why !== undefined && { why }) };
}

async function enter(networks: readonly IsolatedNetwork[]): Promise<void> {
  for (const { gateway, prefixLength } of networks) {
    // No other host is there that could have the address: it need not look for one first.
    const atOnce = isIP(gateway) === 6 ? ["nodad"] : [];
    await ipTool("address", "replace", `${gateway}/${prefixLength}`, "dev", ASKER_LINK, ...atOnce);
  }
  await ipTool("link", "set", ASKER_LINK, "up");
}

type Question = Extract<ToAsker, { kind: "ask" }>;

function refusalAt({ check, address, limits }: Question): Promise<string | undefined> {
  const family = isIP(address);
  const reach: CheckMeans = {
    ...{ ...hostReach, ...limits },
    addressProblem: (other) => (isSameAddress(address, other) ? undefined : `${other} is not asked here`),
    lookup: (_, { all }, done) => (all ? done(null, [{ address, family }]) : done(null, address, family)),
  };
  if (check.kind === "http") return httpRefusal(check, reach, new AbortController().signal);
  if (check.kind === "tcp") return connectionRefusal(check, reach);
  throw new RangeError(`${check.kind} opens no connection`);
}
