#!/usr/bin/env node
/** The program that is installed on source servers and target hosts: `causeway agent`, and nothing else of the command line. */
import { agent } from "./commands/agent.ts";
import { run } from "./run.ts";
import { processTerminal } from "./terminal.ts";

process.exitCode = await run(process.argv.slice(2), [agent], {
  environment: process.env,
  terminal: processTerminal(),
});
