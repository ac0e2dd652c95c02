/** Shows what Causeway does, on a real machine in QEMU: `npm run demo`. */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { HypervisorKind } from "#shared/protocol/defined-machine.ts";
import { coldCloneDemo } from "./cold-clone-demo.ts";
import { describeColdClone } from "./cold-clone-report.ts";
import { cutoverDemo } from "./cutover-demo.ts";
import { describeCutOver } from "./cutover-report.ts";
import { protectDemo } from "./protect-demo.ts";
import { describeProtection } from "./protect-report.ts";
import { recoverDemo } from "./recover-demo.ts";
import { describeRecovered } from "./recover-report.ts";
import { rollbackDemo } from "./rollback-demo.ts";
import { describeRollback } from "./rollback-report.ts";

const USAGE = `usage: npm run demo -- [--firmware bios|uefi | --protect | --recover | --cutover [--hypervisor libvirt|qemu] [--fail health-check]] [--json FILE] [--keep]

Without --protect, --recover and --cutover, clones a machine through the boot environment, and compares every byte of the clone.

  --firmware KIND  the machine's firmware: bios (default) or uefi
  --protect        protects a database server that takes writes until it has ten recovery points, with a
                   restart in the middle, and boots a clone of the last one (about an hour in emulation)
  --recover        protects that server until it has three recovery points, cuts its power, and follows
                   the runbook of docs/operations.md: its last point runs in libvirt (about 15 minutes)
  --cutover        protects that server with a standby, and moves it to a target host while a client writes to it.
                   Then the source stays fenced, also after a power cut (about 15 minutes)
  --hypervisor KIND with --cutover: libvirt (default, if it can be installed here) or qemu
  --fail CHECK     with --cutover: the new machine fails its health check, and the source serves again
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
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const problem = problemOf(values);
  if (problem) {
    console.error(`${problem}\n\n${USAGE}`);
    return 2;
  }
  const { report, text } = await run(values);
  if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
  console.log(text);
  return report.ok ? 0 : 1;
}

type Options = NonNullable<ReturnType<typeof optionsOf>>;

function problemOf({ firmware, protect, recover, cutover, hypervisor, fail }: Options): string | undefined {
  if (firmware !== undefined && firmware !== "bios" && firmware !== "uefi")
    return "--firmware must be bios or uefi";
  if ([firmware !== undefined, protect, recover, cutover].filter(Boolean).length > 1)
    return "--firmware, --protect, --recover and --cutover are for different demos";
  if (hypervisor !== undefined && !(cutover && HypervisorKind.safeParse(hypervisor).success))
    return "--hypervisor libvirt and --hypervisor qemu are for --cutover";
  if (fail !== undefined && !(cutover && fail === "health-check"))
    return "--fail health-check is for --cutover";
  return undefined;
}

async function run({ firmware, protect, recover, cutover, fail, keep = false, ...values }: Options) {
  const hypervisor = HypervisorKind.optional().parse(values.hypervisor);
  if (protect) return withText(await protectDemo({ keep }), describeProtection);
  if (recover) return withText(await recoverDemo({ keep }), describeRecovered);
  if (fail) return withText(await rollbackDemo({ keep, hypervisor }), describeRollback);
  if (cutover) return withText(await cutoverDemo({ keep, hypervisor }), describeCutOver);
  return withText(
    await coldCloneDemo({ firmware: firmware === "uefi" ? "uefi" : "bios", keep }),
    describeColdClone,
  );
}

function optionsOf(args: string[]) {
  const flag = { type: "boolean" } as const;
  const text = { type: "string" } as const;
  try {
    const options = {
      firmware: text,
      protect: flag,
      recover: flag,
      cutover: flag,
      hypervisor: text,
      fail: text,
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
