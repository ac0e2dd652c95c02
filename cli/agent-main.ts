#!/usr/bin/env node
/** The program on source servers and target hosts: `causeway agent`, without the rest of the command line. */
import { becomeLean } from "#agent/threads/lean-process.ts";

becomeLean(process);
const { agent } = await import("./commands/agent.ts");
const { run } = await import("./run.ts");
const { processTerminal } = await import("./terminal.ts");

process.exitCode = await run(process.argv.slice(2), [agent], {
  environment: process.env,
  terminal: processTerminal(),
});
