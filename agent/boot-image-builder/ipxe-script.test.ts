import { expect, test } from "vitest";
import { ipxeScript } from "./build.ts";

test("a machine that starts over the network gets the control plane that the script was given", () => {
  const lines = ipxeScript("panic=10 causeway.url=https://built.example.com").split("\n");
  expect(lines[0]).toBe("#!ipxe");
  expect(lines).toContain(
    "isset $" + "{causeway-url} && set causeway-option causeway.url=$" + "{causeway-url} ||",
  );
  // The last one counts.
  expect(lines.find((line) => line.startsWith("kernel"))).toContain(
    "panic=10 causeway.url=https://built.example.com $" + "{causeway-option}",
  );
});
