/** Which folder may import which. This checks the architecture. */
import { type Finding, isTest, type Source } from "./source.ts";

export interface Rule {
  /** The rule applies to files whose paths start with this. */
  from: string;
  /** Forbidden imports: prefixes of paths from the root, of `npm:` packages, or of `node:` modules. */
  mayNot: readonly string[];
  /** Exceptions from the forbidden imports: prefixes of paths. */
  but?: readonly string[];
  why: string;
}

const NO_IO = [
  "npm:@aws-sdk/",
  "npm:@smithy/",
  "node:fs",
  "node:net",
  "node:http",
  "node:child_process",
  "node:sqlite",
];

/** Top-level folders with code. */
export const ROOMS: readonly string[] = [
  "agent",
  "bench",
  "cli",
  "e2e",
  "functions",
  "infra",
  "local",
  "scripts",
  "shared",
  "statemachines",
];

/** A folder and the only other folders that it may import. */
const ROOM_RULES: { room: string; may: readonly string[]; but?: readonly string[]; why: string }[] = [
  { room: "shared", may: [], why: "what is shared depends on no other room" },
  { room: "functions", may: ["shared"], why: "functions and agent meet only in shared" },
  { room: "agent", may: ["shared"], why: "functions and agent meet only in shared" },
  { room: "infra", may: ["shared"], why: "infra declares; it never imports what it deploys" },
  {
    room: "local",
    may: [],
    // Code for any program, which knows neither AWS nor Causeway.
    but: ["shared/data-folder/", "shared/time-zone.ts"],
    why: "the embedded cloud knows AWS, not Causeway",
  },
  { room: "statemachines", may: [], why: "workflows are data" },
  {
    room: "cli",
    may: ["agent", "local", "shared"],
    why: "the CLI calls the API; it runs no function itself",
  },
  { room: "e2e", may: ["agent", "cli", "shared"], why: "the demo uses the product as an operator does" },
  { room: "bench", may: ["agent", "e2e", "shared"], why: "the bench measures the agent" },
  { room: "scripts", may: ["shared"], why: "checks read the product; they do not run it" },
];

export const rules: readonly Rule[] = [
  { from: "shared/domain/", mayNot: NO_IO, why: "decisions do no IO" },
  { from: "shared/format/", mayNot: NO_IO, why: "the format is bytes, not IO" },
  {
    from: "bench/",
    mayNot: ["e2e/demo/", "e2e/testing/", "e2e/tests/"],
    why: "the bench shares machines and site with the tests, nothing else",
  },
  ...ROOM_RULES.map(({ room, may, but = [], why }) => ({
    from: `${room}/`,
    mayNot: ROOMS.filter((other) => other !== room && !may.includes(other)).map((other) => `${other}/`),
    but,
    why,
  })),
];

/** The folders of `agent/` from the bottom up. A folder may import only from lower floors. */
export const AGENT_FLOORS: readonly (readonly string[])[] = [
  ["boot-image", "disk", "progress", "store", "threads"],
  ["disk-image", "filesystems", "hooks", "identity", "machine", "repository", "tracking"],
  ["boot-loaders", "capture", "consistency", "hypervisor", "link", "restore"],
  ["answer", "browse", "cloud", "inventory"],
  ["commands"],
  ["adapt", "fence", "lease", "restart", "standby"],
  ["proof"],
  ["roles"],
  ["boot-environment"],
  ["boot-image-builder"],
];

const agentFolder = (path: string) => /^agent\/([^/]+)\//.exec(path)?.[1];
const floorOf = (folder: string) => AGENT_FLOORS.findIndex((floor) => floor.includes(folder));

function floorFinding(path: string, imported: string): string | undefined {
  const from = agentFolder(path);
  const to = agentFolder(imported);
  if (from === undefined || to === undefined || from === to) return undefined;
  const unknown = [from, to].find((folder) => floorOf(folder) < 0);
  if (unknown !== undefined) return `agent/${unknown} has no floor; add it to AGENT_FLOORS`;
  if (floorOf(to) < floorOf(from)) return undefined;
  return `agent/${to} is not below agent/${from} (AGENT_FLOORS)`;
}

/** Imports that a rule forbids. Tests may import everything that they combine. */
export function dependencyFindings({ path, imports }: Source): Finding[] {
  if (isTest(path)) return [];
  return imports.flatMap(({ from }) => {
    const startsWith = (prefixes: readonly string[] = []) =>
      prefixes.some((prefix) => from.startsWith(prefix));
    const broken = rules.filter(
      (rule) => path.startsWith(rule.from) && startsWith(rule.mayNot) && !startsWith(rule.but),
    );
    const reasons = [...broken.map(({ why }) => why), floorFinding(path, from)];
    return reasons.flatMap((why) =>
      why === undefined ? [] : [{ path, message: `imports ${from}: ${why}` }],
    );
  });
}
