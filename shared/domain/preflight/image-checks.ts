import type { BootImageRecord } from "../boot-image.ts";
import { type PreflightFacts, type PreflightRule, Unknown } from "./rule.ts";

/** A check of the boot image, open where there is none. */
export function ofImage(
  check: (image: BootImageRecord, facts: PreflightFacts) => string | Unknown | undefined,
): PreflightRule["check"] {
  return (facts) =>
    facts.bootImage ? check(facts.bootImage, facts) : new Unknown("there is no boot image to compare with");
}

/** Whether a driver is in the image and works there: what is wrong, if anything is. Kernels write `-` and `_` alike. */
export function lackOf(driver: string, { drivers }: BootImageRecord): string | undefined {
  const plain = (name: string) => name.replaceAll("-", "_");
  const found = drivers.find(({ name }) => plain(name) === plain(driver));
  if (!found) return `the boot image has no driver ${driver}`;
  return found.lacksFirmware
    ? `the boot image has the driver ${driver}, but not its firmware (${found.lacksFirmware})`
    : undefined;
}
