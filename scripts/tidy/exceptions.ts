/** Findings that are older than their rule. Their number may only decrease. */
import type { Finding } from "./source.ts";

/** For a rule: how many findings each file may have. */
export type Allowances = Readonly<Record<string, number>>;

export interface Outcome {
  /** The findings to fix. */
  failures: string[];
  /** The lowest sufficient allowances. */
  needed: Allowances;
}

const place = ({ path, line, message }: Finding) =>
  `${path}${line === undefined ? "" : `:${line}`} ${message}`;

/**
 * Compares findings with the number that each file may have. A file that was moved keeps the allowance of
 * its old path, if its name is the same.
 */
export function withinAllowances(
  rule: string,
  findings: readonly Finding[],
  allowances: Allowances,
  exists: (path: string) => boolean,
): Outcome {
  const byPath = Map.groupBy(findings, ({ path }) => path);
  const moved = Object.keys(allowances).filter((path) => !exists(path));
  const failures: string[] = [];
  const needed: Record<string, number> = {};
  for (const [path, found] of [...byPath].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const oldPath = path in allowances ? path : moved.find((gone) => baseName(gone) === baseName(path));
    const allowed = oldPath === undefined ? 0 : (allowances[oldPath] ?? 0);
    if (found.length > allowed) {
      const known = allowed === 0 ? "" : ` (${found.length} in this file, of which ${allowed} are known)`;
      failures.push(...found.map((finding) => `${rule}: ${place(finding)}${known}`));
    }
    const kept = Math.min(found.length, allowed);
    if (kept > 0) needed[path] = kept;
  }
  return { failures, needed };
}

function baseName(path: string): string | undefined {
  return path.split("/").at(-1);
}

/** Findings without those that a rule's exceptions name, and exceptions that are no longer needed. */
export function withoutExceptions(
  rule: string,
  findings: readonly Finding[],
  exceptions: Readonly<Record<string, string>>,
): string[] {
  const keys = new Set(findings.map(({ key }) => key));
  return [
    ...findings
      .filter(({ key }) => key === undefined || !(key in exceptions))
      .map((finding) => `${rule}: ${place(finding)}`),
    ...Object.keys(exceptions)
      .filter((key) => !keys.has(key))
      .map((key) => `${rule}: the exception "${key}" is no longer needed; remove it from exceptions.json`),
  ];
}

export function sum(allowances: Allowances): number {
  return Object.values(allowances).reduce((total, count) => total + count, 0);
}
