import { InvalidInputError } from "#shared/errors.ts";
import { ApiError } from "#shared/protocol/client.ts";
import type { CliCommand } from "./command.ts";
import { UsageError } from "./errors.ts";

/** Where an option's name is not made of its field's. */
const NAMES: Readonly<Record<string, string>> = {
  "drills.cron": "drill",
  "drills.targetId": "drill-target",
  "drills.bootTimeoutSeconds": "drill-timeout",
  "drills.bootExpect": "drill-expect",
  intervalSeconds: "every",
  startAt: "start",
  retention: "keep",
  disks: "disk",
  standbyTargetId: "standby",
  windows: "window",
  addresses: "address",
  script: "check-script",
  check: "answer",
  cpuCount: "cpus",
  memoryMiB: "memory",
  cards: "nic",
  bootExpect: "expect",
  machineId: "new-machine-id",
  hostKeys: "new-host-keys",
  proveSeconds: "prove-seconds",
};

/**
 * The error about the options of the command if it is about fields that the API takes: an operator has typed
 * options. Any other error stays as it is.
 */
export function invalidOptions(error: unknown, command: CliCommand): unknown {
  const fields = fieldsOf(error);
  if (!fields) return error;
  const problems = fields.map(({ path, message }) => `${optionOf(path, command)}: ${message}`);
  return new UsageError([...new Set(problems)].join("; "), command.name);
}

function fieldsOf(error: unknown): { path: string; message: string }[] | undefined {
  if (error instanceof InvalidInputError) return error.details.fields;
  return error instanceof ApiError && error.problem.status === 400 ? error.problem.fields : undefined;
}

/** `--answer-timeout` for `answerTimeoutSeconds`; the path itself if no option of the command fills it. */
function optionOf(path: string, { options, positionals }: CliCommand): string {
  const names = path.split(".").filter((name) => !/^\d+$/.test(name));
  // The longest field first: `drills.cron` before `cron`.
  for (let length = names.length; length > 0; length--)
    for (let start = 0; start + length <= names.length; start++) {
      const field = names.slice(start, start + length).join(".");
      const option = [NAMES[field], kebab(field.replace(/(BytesPerSecond|Seconds|Id)$/, ""))].find(
        (name) => name !== undefined && Object.hasOwn(options, name),
      );
      if (option !== undefined) return `--${option}`;
    }
  const [first] = positionals;
  return (path === "id" || path === "sourceId") && first !== undefined ? first.replace("?", "") : path;
}

function kebab(field: string): string {
  return field.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
