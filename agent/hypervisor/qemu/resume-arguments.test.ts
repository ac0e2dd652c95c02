import { expect, test } from "vitest";
import { resumeArguments } from "./resume-arguments.ts";

const INHERITED = ["-incoming", "fd:7"];
const BY_NAME = ["-add-fd", "fd=7,set=0", "-incoming", "file:/dev/fdset/0"];

test.each([
  ["QEMU emulator version 5.2.0 (Debian 1:5.2+dfsg-11+deb11u3)", INHERITED],
  ["QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)", INHERITED],
  ["QEMU emulator version 9.0.2 (Debian 1:9.0.2+ds-4)", INHERITED],
  ["QEMU emulator version 9.1.0 (qemu-kvm-9.1.0-15.el9)", BY_NAME],
  ["QEMU emulator version 10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)", BY_NAME],
  ["QEMU emulator version 11.1.3 (Debian 1:11.1.3+ds-1)", BY_NAME],
  ["a QEMU that does not say its version", INHERITED],
])("%s resumes by a way that it knows", (version, expected) => {
  expect(resumeArguments(7, version)).toEqual(expected);
});
