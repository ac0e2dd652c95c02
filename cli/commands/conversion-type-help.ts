/** Help for the options whose meaning depends on the type of conversion. */
import { ConversionType, conversionTypes, typeChoices } from "#shared/protocol/conversion-types.ts";

export const TYPE_HELP: [string, string] = [
  "--type TYPE",
  ConversionType.options.map((type) => `${type}: ${conversionTypes[type].summary}`).join("; "),
];

export const BOOT_IMAGE_HELP: [string, string] = [
  "--boot-image ID",
  `${typeChoices.restarting}: another boot image than the newest`,
];
