#!/usr/bin/env node
import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { becomeLean } from "#agent/threads/lean-process.ts";

// Keeps compiled modules, which halves a command's start time. They are in our own folder: in one that anyone
// can write to, anyone could plant code. What is imported below is compiled after this.
const compileCache = join(import.meta.dirname, "../.cache/compiled");
if (process.argv[2] === "agent") becomeLean(process, compileCache);
enableCompileCache(compileCache);
const { commands } = await import("./commands.ts");
const { run } = await import("./run.ts");
const { processTerminal } = await import("./terminal.ts");

process.exitCode = await run(process.argv.slice(2), commands, {
  environment: process.env,
  terminal: processTerminal(),
});
