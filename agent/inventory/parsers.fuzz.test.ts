import fc from "fast-check";
import { expect, test } from "vitest";
import { parseMountInfo, parseSwaps } from "../machine/mounts.ts";
import { parseBootOption, parseCpuInfo, parseOsRelease } from "../machine/system.ts";
import { parseIni } from "./ini.ts";
import { parseLvmReport } from "./lvm.ts";
import { parseResolvConf } from "./name-servers.ts";
import { parseBondPorts, parseLinks, parseRoutes } from "./network.ts";
import { ifupdownMethod, networkdMethod } from "./network-configuration.ts";

const AnyText = fc.oneof(
  fc.string({ maxLength: 400 }),
  fc.string({ unit: fc.constantFrom("[", "]", "=", " ", "\n", "\\", '"', "-", "a", "0"), maxLength: 200 }),
  fc.json({ maxDepth: 4 }),
  fc.json().map((value) => `[{"ifname":"a","addr_info":${value}},${value}]`),
);

test("no text makes a parser throw", () => {
  const parsers = [
    ...[
      parseIni,
      parseLvmReport,
      parseMountInfo,
      parseSwaps,
      parseLinks,
      parseResolvConf,
      parseRoutes,
      parseBondPorts,
    ],
    ...[networkdMethod, parseCpuInfo, parseOsRelease, (text: string) => ifupdownMethod(text, "eth0")],
  ];
  fc.assert(
    fc.property(AnyText, (text) => {
      for (const parse of parsers) expect(() => parse(text)).not.toThrow();
    }),
    { numRuns: 300 },
  );
});

test("no bytes make the reader of boot entries throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      expect(() => parseBootOption(Buffer.from(bytes))).not.toThrow();
    }),
  );
});
