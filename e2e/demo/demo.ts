/** Shows what Causeway does, on a real machine in QEMU: `npm run demo`. */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { coldCloneDemo } from "./cold-clone-demo.ts";
import { describeColdClone } from "./cold-clone-report.ts";
import { protectDemo } from "./protect-demo.ts";
import { describeProtection } from "./protect-report.ts";

const USAGE = `usage: npm run demo -- [--firmware bios|uefi | --protect] [--json FILE] [--keep]

Without --protect, clones a machine through the boot environment, and compares every byte of the clone.

  --firmware KIND  the machine's firmware: bios (default) or uefi
  --protect        protects a database server that takes writes until it has ten recovery points, with a
                   restart in the middle, and boots a clone of the last one (about an hour in emulation)
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
  const { firmware = "bios", keep = false, help, json, protect } = values;
  if (help) {
    console.log(USAGE);
    return 0;
  }
  if ((firmware !== "bios" && firmware !== "uefi") || (protect && values.firmware !== undefined)) {
    console.error(`--firmware must be bios or uefi, and is not for --protect\n\n${USAGE}`);
    return 2;
  }
  const shown = protect
    ? withText(await protectDemo({ keep }), describeProtection)
    : withText(await coldCloneDemo({ firmware, keep }), describeColdClone);
  if (json) writeFileSync(json, `${JSON.stringify(shown.report, null, 2)}\n`);
  console.log(shown.text);
  return shown.report.ok ? 0 : 1;
}

function optionsOf(args: string[]) {
  const flag = { type: "boolean" } as const;
  const text = { type: "string" } as const;
  try {
    const options = { firmware: text, protect: flag, json: text, keep: flag, help: { ...flag, short: "h" } };
    return parseArgs({ args, options }).values;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return undefined;
  }
}

function withText<T>(report: T, describe: (report: T) => string): { report: T; text: string } {
  return { report, text: describe(report) };
}
