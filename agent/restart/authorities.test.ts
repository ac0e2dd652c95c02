import { expect, test } from "vitest";
import { RecordedMachine } from "../machine/testing/recorded-machine.ts";
import { additionalAuthorities } from "./authorities.ts";

const pem = (letter: string) =>
  `-----BEGIN CERTIFICATE-----\n${letter.repeat(64)}\n-----END CERTIFICATE-----`;

test("the agent's own authorities come first, then the system's, each once and without other text", async () => {
  const machine = new RecordedMachine({
    files: {
      "/etc/corp.pem": `Corporate root\n${pem("A")}\n${pem("B")}`,
      "/usr/local/share/ca-certificates/corp.crt": pem("B"),
      "/etc/pki/ca-trust/source/anchors/inspection.pem": `${pem("C")}\n-----BEGIN PRIVATE KEY-----\nDDDD\n`,
    },
  });
  const expected = ["A", "B", "C"].map((letter) => `${pem(letter)}\n`).join("");
  expect(await additionalAuthorities(machine, { NODE_EXTRA_CA_CERTS: "/etc/corp.pem" })).toBe(expected);
});

test("if there are none, or they cannot be read, the result is empty", async () => {
  expect(await additionalAuthorities(new RecordedMachine({}), {})).toBe("");
  expect(await additionalAuthorities(new RecordedMachine({}), { NODE_EXTRA_CA_CERTS: "/gone" })).toBe("");
});

test("if an overlay lacks room, the list is cut between certificates", async () => {
  const many = Array.from({ length: 600 }, (_, index) =>
    pem("A").replace("A".repeat(64), `${index}A`.repeat(300)),
  );
  const machine = new RecordedMachine({ files: { "/etc/many.pem": many.join("\n") } });
  const bundle = await additionalAuthorities(machine, { NODE_EXTRA_CA_CERTS: "/etc/many.pem" });
  expect(bundle.length).toBeLessThanOrEqual(512 * 1024);
  expect(bundle.match(/BEGIN/g)?.length).toBe(bundle.match(/END/g)?.length);
});
