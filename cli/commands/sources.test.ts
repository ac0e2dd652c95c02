import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { sourceOf } from "#shared/domain/agent.ts";
import { anInventory, aSource } from "#shared/domain/testing/records.ts";
import { recordedRun } from "../testing/recorded-run.ts";

test("each source is listed with the services that its fence keeps down, as far as its agent says that", async () => {
  const listed = [[], ["postgresql.service", "app.service"], undefined];
  const fencedUnits = (["running", "stopped", "not-found"] as const).map((state, index) => ({
    ...{ name: `s${index}.service`, state },
  }));
  const known = { fencedServices: fencedUnits.map(({ name }) => name), fencedUnits };
  const items = [...listed.map((fencedServices) => (fencedServices ? { fencedServices } : {})), known].map(
    (facts) => sourceOf(aSource({ inventory: anInventory(facts) })),
  );
  const server = createServer((_, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ items, cursor: null }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { code, stdout } = await recordedRun(["sources"], {
    CAUSEWAY_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    CAUSEWAY_TOKEN: "t",
  });
  server.close();
  expect(code).toBe(0);
  const [headings, none, two, unknown, three] = stdout.split("\n");
  expect(headings).toMatch(/FENCED SERVICES$/);
  expect(none).toMatch(/ none$/);
  expect(two).toMatch(/ postgresql\.service, app\.service$/);
  expect(unknown).toMatch(/ unknown$/);
  expect(three).toMatch(/ s0\.service, s1\.service \(stopped\), s2\.service \(not-found\)$/);
  expect(stdout).toContain("systemd knows no service of this name");
});
