#!/usr/bin/env node
/**
 * The program on source servers and target hosts: `causeway agent` and the commands on a source's fence,
 * without the rest of the command line.
 */
import { becomeLean } from "#agent/threads/lean-process.ts";

becomeLean(process);
const { agent } = await import("./commands/agent.ts");
const { fence, fenceBreak } = await import("./commands/fence.ts");
const { run } = await import("./run.ts");
const { processTerminal } = await import("./terminal.ts");

process.exitCode = await run(process.argv.slice(2), [agent, fenceBreak, fence], {
  environment: process.env,
  terminal: processTerminal(),
});
