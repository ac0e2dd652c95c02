import type { BootImageRecord } from "../boot-image.ts";
import { type PreflightFacts, type PreflightRule, Unknown } from "./rule.ts";

/** A check of the boot image. Its outcome is unknown if there is no boot image. */
export function ofImage(
  check: (image: BootImageRecord, facts: PreflightFacts) => string | Unknown | undefined,
): PreflightRule["check"] {
  return (facts) =>
    facts.bootImage ? check(facts.bootImage, facts) : new Unknown("there is no boot image to compare with");
}

/** Finds a driver of the image. Kernels treat `-` and `_` in names as the same. */
export function driverIn(
  { drivers }: BootImageRecord,
  driver: string,
): BootImageRecord["drivers"][number] | undefined {
  const plain = (name: string) => name.replaceAll("-", "_");
  return drivers.find(({ name }) => plain(name) === plain(driver));
}

/** The problem if the image has none of these drivers. Returns `undefined` if it has one. */
export function lackOf(candidates: readonly string[], image: BootImageRecord): string | undefined {
  return candidates.some((driver) => driverIn(image, driver))
    ? undefined
    : `the boot image has no driver ${candidates.join(" or ")}`;
}

/**
 * The problem if the image has some of these drivers, but the firmware of none. Returns `undefined`
 * otherwise.
 */
export function firmwareLackOf(candidates: readonly string[], image: BootImageRecord): string | undefined {
  const found = candidates.flatMap((driver) => driverIn(image, driver) ?? []);
  const [first] = found;
  return first && found.every(({ lacksFirmware }) => lacksFirmware)
    ? `the boot image has the driver ${first.name}, but not the firmware that it loads (package ${first.lacksFirmware})`
    : undefined;
}

/** What to do about missing firmware. A rule adds its alternative. */
export const FIRMWARE_REMEDY =
  "Build a boot image with `npm run boot-image -- --firmware DIR`, where DIR holds the package's files laid out like /lib/firmware, and upload it;";
