/** The rules of preflight by name, and which of them an operator may accept. */
import * as z from "zod";

export const RuleName = z.enum([
  "own-system",
  "started-by-hand",
  "source-connected",
  "target-connected",
  "source-held",
  "inventory-whole",
  "some-disk",
  "disks-exist",
  "disks-readable",
  "disks-understood",
  "disks-not-empty",
  "disk-in-use",
  "target-room",
  "target-not-full",
  "target-boots",
  "source-in-original",
  "disks-real",
  "disks-recognisable",
  "boot-image",
  "boot-image-architecture",
  "boot-image-trusted",
  "boot-loader-known",
  "boot-loader-armable",
  "boot-loader-room",
  "memory",
  "secure-boot",
  "drive-letter-x",
  "disk-drivers",
  "disk-firmware",
  "network-drivers",
  "network-firmware",
  "network-wired",
  "network-addresses",
  "network-own-address",
  "network-address-named",
  "network-name-servers",
  "network-admission",
  "network-dhcp-identity",
  "network-rehearsed",
  "network-settings",
  "starts-unattended",
  "opens-unattended",
  "starts-this-system",
  "starts-first",
  "agent-starts-at-boot",
  "raid-complete",
  "disks-not-encrypted",
]);
export type RuleName = z.infer<typeof RuleName>;

/**
 * Rules about facts that the operator may know better. An operator may accept each for one conversion. Every
 * other rule must hold, or the conversion does not start.
 */
export const AcceptableRule = RuleName.extract([
  "inventory-whole",
  "disk-in-use",
  "starts-unattended",
  "opens-unattended",
  "starts-this-system",
  "network-address-named",
  "network-name-servers",
  "network-admission",
  "network-dhcp-identity",
  "network-rehearsed",
]);
export type AcceptableRule = z.infer<typeof AcceptableRule>;

/** Accepted rules, each at most once. */
export const AcceptedRules = z
  .array(AcceptableRule)
  .max(AcceptableRule.options.length)
  .refine((rules) => new Set(rules).size === rules.length, "a rule is accepted once");
