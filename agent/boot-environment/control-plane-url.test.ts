import { expect, test } from "vitest";
import { parseControlPlaneUrl, urlOfCommandLine } from "./control-plane-url.ts";

test.each([
  ["https://api.example.com/", "https://api.example.com"],
  [" api.example.com ", "https://api.example.com"],
  ["HTTP://10.0.2.2:8080", "http://10.0.2.2:8080"],
  ["192.0.2.7:8443", "https://192.0.2.7:8443"],
  ["https://example.com/causeway/", "https://example.com/causeway"],
])("%j, as typed, means the control plane %s", (typed, url) => {
  expect(parseControlPlaneUrl(typed)).toBe(url);
});

test.each([
  "",
  "   ",
  "two words",
  "login:",
  "ftp://example.com",
  "https://user:pw@example.com",
  "a.example?b=c",
  "a.example/$(reboot)",
  "http://",
])("%j is not a control plane's address", (typed) => {
  expect(parseControlPlaneUrl(typed)).toBeUndefined();
});

test("the kernel's parameters name the control plane, and the last one of two counts", () => {
  const line = "console=tty0 causeway.url=https://one.example.com panic=10";
  expect(urlOfCommandLine(line)).toBe("https://one.example.com");
  expect(urlOfCommandLine(`${line} causeway.url=http://10.0.2.2:8080\n`)).toBe("http://10.0.2.2:8080");
  expect(urlOfCommandLine("console=tty0 panic=10")).toBeUndefined();
});
