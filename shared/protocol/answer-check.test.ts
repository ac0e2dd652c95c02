import { expect, test } from "vitest";
import { AnswerCheck, endpointOfCheck, needsNetwork, SingleCheck } from "./answer-check.ts";

const http = (url: string) => ({ kind: "http", url });
const read = (value: unknown) => AnswerCheck.safeParse(value);

test.each([
  ["http://192.0.2.7/health", "192.0.2.7", 80],
  ["https://192.0.2.7", "192.0.2.7", 443],
  ["https://[2001:db8::7]:8443/a?b=c", "2001:db8::7", 8443],
  ["http://pine:8080/", "pine", 8080],
  // The URL's own rules make an address of it.
  ["http://2130706433/", "127.0.0.1", 80],
])("%s is asked at %s, port %i", (url, host, port) => {
  const check = SingleCheck.parse(http(url));
  expect(check).toEqual({ kind: "http", url, certificate: "verified" });
  expect(endpointOfCheck(check)).toEqual({ host, port });
});

test.each([
  ["ftp://192.0.2.7/", "begins with http"],
  ["http://", "not a URL"],
  ["http://192.0.2.7:0/", "not a URL"],
  ["http://[fe80::1%25eth0]/", "not a URL"],
  ["https://ada:secret@192.0.2.7/", "would be shown"],
  ["https://192.0.2.7/#top", "never sent"],
  ["https://192.0.2.7/a b", "in ASCII"],
  ["https://192.0.2.7/\u001b[2J", "in ASCII"],
  [`https://192.0.2.7/${"x".repeat(300)}`, "300"],
])("%j is refused", (url, why) => {
  expect(read(http(url)).error?.message).toContain(why);
});

test("several checks are two to eight, of one machine's one console", () => {
  const tcp = { kind: "tcp", host: "192.0.2.7", port: 22 };
  const console = { kind: "console" };
  const all = (checks: object[]) => read({ kind: "all", checks }).success;
  expect(all([tcp, http("http://192.0.2.7/"), console])).toBe(true);
  for (const checks of [
    [],
    [tcp],
    Array(9).fill(tcp),
    [console, console],
    [tcp, { kind: "all", checks: [tcp, tcp] }],
  ])
    expect(all(checks)).toBe(false);
});

test("only what a connection shows needs the machine's network", () => {
  const tcp = { kind: "tcp" as const, host: "192.0.2.7", port: 22 };
  expect(needsNetwork({ kind: "console" })).toBe(false);
  expect(needsNetwork({ kind: "all", checks: [{ kind: "console" }, tcp] })).toBe(true);
});
