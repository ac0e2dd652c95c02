/** Findings that are allowed, each with its reason. */
import type { Finding } from "./source.ts";

const place = ({ path, line, message }: Finding) =>
  `${path}${line === undefined ? "" : `:${line}`} ${message}`;

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
