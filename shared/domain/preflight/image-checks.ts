import type { BootImageRecord } from "../boot-image.ts";
import { type PreflightFacts, type PreflightRule, Unknown } from "./rule.ts";

/** A check of the boot image, open where there is none. */
export function ofImage(
  check: (image: BootImageRecord, facts: PreflightFacts) => string | Unknown | undefined,
): PreflightRule["check"] {
  return (facts) =>
    facts.bootImage ? check(facts.bootImage, facts) : new Unknown("there is no boot image to compare with");
}

/** A driver of the image; kernels write `-` and `_` alike. */
export function driverIn(
  { drivers }: BootImageRecord,
  driver: string,
): BootImageRecord["drivers"][number] | undefined {
  const plain = (name: string) => name.replaceAll("-", "_");
  return drivers.find(({ name }) => plain(name) === plain(driver));
}

/** What is wrong if the image has none of these drivers; one of them is needed. */
export function lackOf(candidates: readonly string[], image: BootImageRecord): string | undefined {
  return candidates.some((driver) => driverIn(image, driver))
    ? undefined
    : `the boot image has no driver ${candidates.join(" or ")}`;
}

/**
 * What is wrong if every one of these drivers that the image has does nothing there, for want of its
 * firmware.
 */
export function firmwareLackOf(candidates: readonly string[], image: BootImageRecord): string | undefined {
  const found = candidates.flatMap((driver) => driverIn(image, driver) ?? []);
  const [first] = found;
  return first && found.every(({ lacksFirmware }) => lacksFirmware)
    ? `the boot image has the driver ${first.name}, but not the firmware that it loads (package ${first.lacksFirmware})`
    : undefined;
}

/** What to do about firmware that is missing. */
export const FIRMWARE_REMEDY =
  "Build a boot image with `npm run boot-image -- --firmware DIR`, where DIR holds the package's files laid out like /lib/firmware, and upload it;";
