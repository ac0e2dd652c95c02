import type { BootImageRecord } from "#shared/domain/boot-image.ts";
import type { ConversionRecord } from "#shared/domain/conversion.ts";
import { type ConversionType, conversionTypes } from "#shared/protocol/conversion-types.ts";
import type { Store } from "../store/store.ts";

/**
 * The id of the boot image for a conversion: the requested one, else the newest. Returns `undefined` if there
 * is none, or if the type needs none.
 */
export async function bootImageFor(
  request: { type: ConversionType; bootImageId?: string | undefined },
  { bootImages }: Store,
): Promise<string | undefined> {
  if (!conversionTypes[request.type].restartsSource) return undefined;
  return request.bootImageId ?? (await bootImages.newest())?.id;
}

/** The conversion's boot image, if it is complete. */
export async function usableBootImage(
  { bootImageId }: ConversionRecord,
  { bootImages }: Store,
): Promise<BootImageRecord | undefined> {
  const image = bootImageId ? await bootImages.find(bootImageId) : undefined;
  return image?.state === "complete" ? image : undefined;
}
