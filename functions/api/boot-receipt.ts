import type { Attested } from "#shared/domain/whereabouts.ts";
import { NotFoundError } from "#shared/errors.ts";
import type { ConversionReceipt } from "#shared/protocol/conversion-receipt.ts";
import { ownerKind } from "#shared/protocol/ids.ts";
import type { Store } from "../store/store.ts";

/** What the conversion or cutover with this id knows of its source's boot state. Throws `NotFoundError`. */
export async function bootReceiptOf(
  { id, sourceId, attested }: { id: string; sourceId: string; attested?: Attested | undefined },
  { agents }: Pick<Store, "agents">,
): Promise<ConversionReceipt> {
  const { certificatePem } = await agents.get(sourceId);
  if (!attested || !certificatePem) throw new NotFoundError(`boot receipt of ${ownerKind(id)}`, id);
  return { conversionId: id, ...attested, certificatePem };
}
