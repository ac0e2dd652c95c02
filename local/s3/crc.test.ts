import { expect, test } from "vitest";
import { Crc32c, Crc64Nvme } from "./crc.ts";

const CHECK = Buffer.from("123456789");

test("each checksum of the test data is the published value, computed in one piece or in several", () => {
  for (const [check, published] of [
    [() => new Crc32c(), "e3069283"],
    [() => new Crc64Nvme(), "ae8b14860a799888"],
  ] as const) {
    const whole = check();
    whole.update(CHECK);
    expect(whole.digest().toString("hex")).toBe(published);
    const pieces = check();
    pieces.update(CHECK.subarray(0, 4));
    pieces.update(CHECK.subarray(4));
    expect(pieces.digest().toString("hex")).toBe(published);
  }
});
