import { randomUUID } from "node:crypto";
import { DiskFormat } from "#shared/protocol/common.ts";
import { ConversionType, conversionTypes, typeChoices } from "#shared/protocol/conversion-types.ts";
import type { NewConversion } from "#shared/protocol/resources.ts";
import { AcceptableRule } from "#shared/protocol/rule-names.ts";
import { sourceId, targetId } from "../agent-names.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import {
  type CliCall,
  type CliCommand,
  choiceOption,
  choicesOption,
  durationOption,
  numberOption,
  requiredOption,
  secondsOption,
  textOption,
} from "../command.ts";
import { UsageError } from "../errors.ts";
import { print } from "../terminal.ts";
import { timeOption } from "../time-option.ts";
import { sayStarted } from "../wait-for-end.ts";
import { ACCEPT_HELP } from "./accept.ts";
import { BOOT_IMAGE_HELP, TYPE_HELP } from "./conversion-type-help.ts";
import { followConversion } from "./conversions.ts";

export const convert: CliCommand = {
  name: "convert",
  summary: "Converts a source server into a virtual machine on a target host",
  usage: `convert SOURCE --type ${typeChoices.all} --target TARGET [--at TIME] [--format raw|qcow2] [--boot-check] [--wait]`,
  help: [
    TYPE_HELP,
    ["--target TARGET", "the target host that gets the virtual machine"],
    ["--format FORMAT", "format of the virtual disks: qcow2 (default) or raw (sparse)"],
    ["--disk NAME", "only this disk; can be repeated (default: all)"],
    ["--all-blocks", "also copy space that file systems mark as free (by default the clone has zeros there)"],
    ["--boot-check", "boot a throw-away copy without network and keep a screenshot"],
    ["--boot-timeout DURATION", "how long the boot check may take (default 10m)"],
    ["--boot-expect TEXT", "what the console must show when the system is up (default: a login prompt)"],
    ["--bandwidth-limit BYTES", "upload at most this many bytes per second"],
    [
      "--at TIME",
      `${typeChoices.restarting}: restart the source at this time, 2030-12-31T02:30 by this computer's clock, or 2030-12-31T02:30Z in UTC (default: immediately)`,
    ],
    ["--deadline TIME", `${typeChoices.restarting}: how long a restart may take, such as 45m (default 30m)`],
    BOOT_IMAGE_HELP,
    ACCEPT_HELP,
    ["--wait", "wait until it ends; the exit code gives the outcome"],
    ...API_HELP,
  ],
  examples: [
    ...ConversionType.options.map(exampleOf),
    `causeway convert agt_01jd… --type ${ConversionType.options[0]} --target agt_01je… --format raw --disk sda --json`,
  ],
  options: {
    ...API_OPTIONS,
    type: { type: "string" },
    target: { type: "string" },
    format: { type: "string" },
    disk: { type: "string", multiple: true },
    "all-blocks": { type: "boolean" },
    "boot-check": { type: "boolean" },
    "boot-timeout": { type: "string" },
    "boot-expect": { type: "string" },
    "bandwidth-limit": { type: "string" },
    at: { type: "string" },
    deadline: { type: "string" },
    "boot-image": { type: "string" },
    accept: { type: "string", multiple: true },
    wait: { type: "boolean" },
  },
  positionals: ["SOURCE"],
  async run(call) {
    const api = apiOf(call);
    const { source, target, ...request } = requestOf(call);
    const agents = { sourceId: await sourceId(api, source), targetId: await targetId(api, target) };
    const started = await api.startConversion({
      body: { ...request, ...agents },
      idempotencyKey: randomUUID(),
    });
    if (!call.values.wait) {
      print(
        call.terminal,
        call.json,
        started,
        () => `${started.id} started; \`causeway conversions ${started.id}\` shows its progress`,
      );
      return;
    }
    sayStarted(call, started.id, "conversions");
    await followConversion(started.id, api, call);
  },
};

function exampleOf(type: ConversionType): string {
  const at = conversionTypes[type].restartsSource ? " --at 2030-12-31T02:30" : "";
  return `causeway convert agt_01jd… --type ${type} --target agt_01je…${at} --boot-check --wait`;
}

type Request = Omit<NewConversion, "sourceId" | "targetId"> & Record<"source" | "target", string>;

/** `source` and `target`: ids or names. */
function requestOf(call: CliCall): Request {
  const type = choiceOption(call, "type", ConversionType.options, "convert");
  if (!type) throw new UsageError("--type is missing", "convert");
  const limit = numberOption(call, "bandwidth-limit", "convert");
  const expect = textOption(call, "boot-expect");
  const startAt = timeOption(call, "at", "convert");
  const deadlineSeconds = durationOption(call, "deadline", "convert");
  const bootImageId = textOption(call, "boot-image");
  const disks = call.values.disk as string[] | undefined;
  return {
    type,
    source: call.arguments.SOURCE ?? "",
    target: requiredOption(call, "target", "convert"),
    format: choiceOption(call, "format", DiskFormat.options, "convert") ?? "qcow2",
    allBlocks: call.values["all-blocks"] === true,
    bootCheck: call.values["boot-check"] === true,
    accept: choicesOption(call, "accept", AcceptableRule.options, "convert"),
    bootTimeoutSeconds: secondsOption(call, "boot-timeout", "convert") ?? 600,
    ...(disks ? { disks } : {}),
    ...(limit !== undefined ? { bandwidthLimitBytesPerSecond: limit } : {}),
    ...(expect !== undefined ? { bootExpect: expect } : {}),
    ...(startAt !== undefined ? { startAt } : {}),
    ...(deadlineSeconds !== undefined ? { deadlineSeconds } : {}),
    ...(bootImageId !== undefined ? { bootImageId } : {}),
  };
}
