/** Shows what Causeway does, on a real machine in QEMU: `npm run demo`. */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { coldCloneDemo } from "./cold-clone-demo.ts";
import { describeColdClone } from "./cold-clone-report.ts";
import { protectDemo } from "./protect-demo.ts";
import { describeProtection } from "./protect-report.ts";
import { recoverDemo } from "./recover-demo.ts";
import { describeRecovered } from "./recover-report.ts";

const USAGE = `usage: npm run demo -- [--firmware bios|uefi | --protect | --recover] [--json FILE] [--keep]

Without --protect and --recover, clones a machine through the boot environment, and compares every byte of the clone.

  --firmware KIND  the machine's firmware: bios (default) or uefi
  --protect        protects a database server that takes writes until it has ten recovery points, with a
                   restart in the middle, and boots a clone of the last one (about an hour in emulation)
  --recover        protects that server until it has three recovery points, cuts its power, and follows
                   the runbook of docs/operations.md: its last point runs in libvirt (about 15 minutes)
  --json FILE      also writes the report as JSON
  --keep           keeps all disks for inspection
  --help           prints this

Example: npm run demo -- --protect --json report.json
Exit codes: 0 everything was proved, 1 something was not, 2 wrong usage.
`;

process.exitCode = await main(process.argv.slice(2));

async function main(argv: string[]): Promise<number> {
  const values = optionsOf(argv);
  if (!values) return 2;
  const { firmware = "bios", keep = false, help, json, protect = false, recover = false } = values;
  if (help) {
    console.log(USAGE);
    return 0;
  }
  const chosen = [values.firmware !== undefined, protect, recover].filter(Boolean).length;
  if ((firmware !== "bios" && firmware !== "uefi") || chosen > 1) {
    console.error(
      `--firmware must be bios or uefi; --firmware, --protect and --recover are for different demos\n\n${USAGE}`,
    );
    return 2;
  }
  const shown = protect
    ? withText(await protectDemo({ keep }), describeProtection)
    : recover
      ? withText(await recoverDemo({ keep }), describeRecovered)
      : withText(await coldCloneDemo({ firmware, keep }), describeColdClone);
  if (json) writeFileSync(json, `${JSON.stringify(shown.report, null, 2)}\n`);
  console.log(shown.text);
  return shown.report.ok ? 0 : 1;
}

function optionsOf(args: string[]) {
  const flag = { type: "boolean" } as const;
  const text = { type: "string" } as const;
  try {
    const options = {
      firmware: text,
      protect: flag,
      recover: flag,
      json: text,
      keep: flag,
      help: { ...flag, short: "h" },
    };
    return parseArgs({ args, options }).values;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return undefined;
  }
}

function withText<T>(report: T, describe: (report: T) => string): { report: T; text: string } {
  return { report, text: describe(report) };
}
